"""What is promised of metrics."""

import math
from collections.abc import Callable, Mapping, Sequence

from ganlm_core.corpora import Corpus
from ganlm_core.corpora.grammar import Grammar
from ganlm_core.metrics import Metric, Subject
from ganlm_core.testing.case import Case
from ganlm_core.testing.kinds import build

GRAMMAR = Grammar()
SENTENCES = GRAMMAR.sample(240, seed=0)
WITH_PROCESS = Corpus("grammar", SENTENCES[:120], SENTENCES[120:160], SENTENCES[160:200], process=GRAMMAR)
WITHOUT = Corpus("plain", SENTENCES[:120], SENTENCES[120:160], SENTENCES[160:200])
TEXTS = tuple(SENTENCES[200:])


def _nll(texts: Sequence[str]) -> float:
    return 2.0


def check_values(case: Case) -> None:
    """Finite numbers by name, at least one where everything is there to be measured."""
    metric: Metric = build(case)
    values = metric(Subject(TEXTS, _nll), WITH_PROCESS)
    case.expect(isinstance(values, Mapping) and values, f"gives {values!r}; wanted a mapping from names to numbers")
    for name, value in values.items():
        number = isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
        case.expect(number, f"gives {value!r} for {name}; leave out a value that does not exist")


def check_missing(case: Case) -> None:
    """Where a value does not exist (no likelihood, no process, one sentence, repeats) it is left out."""
    metric: Metric = build(case)
    subjects = (
        Subject(TEXTS, None),
        Subject(TEXTS[:1], _nll),
        Subject((TEXTS[0],) * 5, _nll),
        Subject(("", "x"), None),
    )
    for subject in subjects:
        for corpus in (WITH_PROCESS, WITHOUT):
            try:
                values = metric(subject, corpus)
            except Exception as error:
                raise AssertionError(
                    f"{case} fails on {len(subject.texts)} sentences ({error!r}); leave out a value that does not exist"
                ) from error
            finite = all(math.isfinite(value) for value in values.values())
            case.expect(finite, "gives NaN or infinity; leave out a value that does not exist")


def check_same_again(case: Case) -> None:
    """The same texts give the same values, and the texts stay as they are."""
    texts = list(TEXTS)
    results = [dict(build(case, seed=seed)(Subject(texts, _nll), WITH_PROCESS)) for seed in (0, 1)]
    case.expect(results[0] == results[1], "gives other values for the same texts; fix the seed of what it draws")
    case.expect(texts == list(TEXTS), "changes the texts that it is given; copy them before sorting")


CHECKS: tuple[Callable[[Case], None], ...] = (check_values, check_missing, check_same_again)
