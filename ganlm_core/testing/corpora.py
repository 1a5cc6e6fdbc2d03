"""Checks of corpora."""

import functools
import math

from ganlm_core.components import ComponentSpec, Options
from ganlm_core.data.corpus import SAMPLE, Corpus
from ganlm_core.data.text import identity
from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.kinds import build
from ganlm_core.training.checks import problem_with_corpus

FEW = 50


def check_splits(case: Case) -> None:
    """Each of the three splits has sentences of one line, and no copy of a sentence is in another split."""
    corpus = _built(case.spec, case.options)
    problem = problem_with_corpus(corpus, SAMPLE)
    case.expect(not problem, problem)
    splits = {"train": corpus.train, "validation": corpus.validation, "test": corpus.test}
    for name, texts in splits.items():
        case.expect(texts, f"has an empty {name} split; use ganlm_core.data.corpus.split")
        case.expect(all(map(str.strip, texts)), f"has empty sentences in its {name} split; leave them out")
    train, validation, test = (set(map(identity, texts)) for texts in splits.values())
    shared = (train & validation) | (train & test) | (validation & test)
    case.expect(not shared, f"has {len(shared)} sentences in more than one split; use ganlm_core.data.corpus.split")


def check_seeded(case: Case) -> None:
    """The same options give the same sentences in the same order."""
    one, other = _built(case.spec, case.options), build(case, seed=1)
    same = (one.train, one.validation, one.test) == (other.train, other.validation, other.test)
    case.expect(same, "gives other sentences when it is built again; seed its random generator")


def check_process(case: Case) -> None:
    """The exact process samples by its seed, gives its samples log p > -inf, and impossible texts log p = -inf."""
    process = _built(case.spec, case.options).process
    if process is None:
        raise Skipped("it has no exact process")
    same, again, other = (process.sample(FEW, seed) for seed in (0, 0, 1))
    case.expect(len(same) == FEW, f"has a process that draws {len(same)} sentences when asked for {FEW}; draw n")
    case.expect(
        same == again and same != other,
        "has a process whose samples do not depend on the seed; seed its random generator",
    )
    scores = process.log_prob(same)
    possible = len(scores) == FEW and all(-math.inf < score <= 0 for score in scores)
    case.expect(possible, "has a process that gives its own samples no valid log p; return log p in nats")
    (impossible,) = process.log_prob(["\x00 no such sentence \x00"])
    case.expect(
        impossible == -math.inf, f"has a process that gives an impossible text log p = {impossible}; return -inf"
    )


@functools.lru_cache(maxsize=1)
def _built(spec: ComponentSpec, options: Options) -> Corpus:
    """Build the corpus once for all checks, because that may take long."""
    return build(Case(spec), options)


FIRST = (check_splits,)
CHECKS = (check_seeded, check_process)
