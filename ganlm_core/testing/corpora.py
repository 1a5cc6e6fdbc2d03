"""What is promised of corpora."""

import functools
import math

from ganlm_core.components import ComponentSpec, Options
from ganlm_core.data.corpus import Corpus
from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.kinds import build

FEW = 50


def check_parts(case: Case) -> None:
    """Three parts of sentences of one line; no sentence is in two of them."""
    corpus = _built(case.spec, case.options)
    parts = {"train": corpus.train, "validation": corpus.validation, "test": corpus.test}
    for name, part in parts.items():
        case.expect(part, f"has nothing in its part {name}; use ganlm_core.data.corpus.split")
        lines = all(isinstance(text, str) and text.strip() and "\n" not in text for text in part)
        case.expect(lines, f"has sentences in {name} that are not text of one line; clean them")
    train, validation, test = (set(part) for part in parts.values())
    shared = (train & validation) | (train & test) | (validation & test)
    case.expect(not shared, f"has {len(shared)} sentences in more than one part; use ganlm_core.data.corpus.split")


def check_seeded(case: Case) -> None:
    """The same options give the same sentences in the same order."""
    one, other = _built(case.spec, case.options), build(case, seed=1)
    same = (one.train, one.validation, one.test) == (other.train, other.validation, other.test)
    case.expect(same, "has other sentences when it is built again; draw with a seed that is an option")


def check_process(case: Case) -> None:
    """Its exact process draws by the seed, what it draws it finds possible, and what it cannot draw it does not."""
    process = _built(case.spec, case.options).process
    if process is None:
        raise Skipped("it has no exact process")
    same, again, other = (process.sample(FEW, seed) for seed in (0, 0, 1))
    case.expect(len(same) == FEW, f"has a process that draws {len(same)} sentences when asked for {FEW}")
    case.expect(same == again and same != other, "has a process that draws whatever the seed; seed a generator with it")
    scores = process.log_prob(same)
    possible = len(scores) == FEW and all(-math.inf < score <= 0 for score in scores)
    case.expect(possible, "has a process that draws sentences to which it gives no probability; give log p in nats")
    (impossible,) = process.log_prob(["\x00 no such sentence \x00"])
    case.expect(impossible == -math.inf, f"has a process that finds nonsense possible, at {impossible}; give -inf")


@functools.lru_cache(maxsize=1)
def _built(spec: ComponentSpec, options: Options) -> Corpus:
    """Built once for all checks: a corpus may take its time."""
    return build(Case(spec), options)


FIRST = (check_parts,)
CHECKS = (check_seeded, check_process)
