"""What is promised of metrics."""

from collections.abc import Sequence

from ganlm_core.data.corpus import Corpus
from ganlm_core.data.grammar import Grammar
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Metric, Subject, problem_with
from ganlm_core.plugins.discovery import one_line
from ganlm_core.testing.case import Case
from ganlm_core.testing.kinds import build

GRAMMAR = Grammar()
SENTENCES = GRAMMAR.sample(240, seed=0)
REAL = tuple(SENTENCES[160:200])
TEXTS = tuple(SENTENCES[200:])
WITH_PROCESS = Conditions(Corpus("grammar", SENTENCES[:120], SENTENCES[120:160], REAL, process=GRAMMAR))
WITHOUT = Conditions(Corpus("plain", SENTENCES[:120], SENTENCES[120:160], REAL))


def _likelihood(texts: Sequence[str]) -> Likelihood:
    return Likelihood(nll_per_token=2.0, tokens=sum(len(text.split()) + 1 for text in texts), sentences=len(texts))


WHOLE = Subject(TEXTS, _likelihood, REAL)
"""All that there is to be known of somebody."""


def check_values(case: Case) -> None:
    """Finite numbers by name, those that it declares, and in words what they were measured with."""
    found = _measure(case, WHOLE, WITH_PROCESS)
    case.expect(found.values, "gives no numbers where everything is there to be measured")
    case.expect(found.protocol.strip(), "gives numbers without a protocol; say how many sentences they are of")
    missing = [measure.name for measure in case.spec.measures if measure.name not in found.values]
    case.expect(not missing, f"declares {', '.join(missing)} and gives {', '.join(found.values)}; let both agree")


def check_missing(case: Case) -> None:
    """Where a value does not exist (no likelihood, no process, nothing real, one sentence, repeats) it is left out."""
    subjects = {
        "from somebody without a likelihood": Subject(TEXTS),
        "of which there is one": Subject(TEXTS[:1], _likelihood, REAL),
        "that are all the same": Subject((TEXTS[0],) * 5, _likelihood, REAL),
        "of no word or one": Subject(("", "x"), None, REAL),
    }
    for which, subject in subjects.items():
        for corpus, conditions in {"with": WITH_PROCESS, "without": WITHOUT}.items():
            try:
                _measure(case, subject, conditions)
            except AssertionError:
                raise
            except Exception as error:
                raise AssertionError(
                    f"{case} fails on sentences {which}, on a corpus {corpus} an exact process ({one_line(error)}); "
                    "leave out a value that does not exist"
                ) from error


def check_same_again(case: Case) -> None:
    """The same texts give the same values, and the texts stay as they are."""
    texts = list(TEXTS)
    one, other = (_measure(case, Subject(texts, _likelihood, REAL), WITH_PROCESS, seed) for seed in (0, 1))
    case.expect(one == other, "gives other values for the same texts; draw with the seed of its Conditions")
    case.expect(texts == list(TEXTS), "changes the texts that it is given; copy them before sorting")


def _measure(case: Case, subject: Subject, conditions: Conditions, seed: int = 0) -> Measured:
    """What it measures; every number must be one."""
    metric: Metric = build(case, seed=seed)
    found = metric(subject, conditions)
    problem = problem_with(found)
    case.expect(not problem, problem)
    return found


FIRST = (check_values,)
CHECKS = (check_missing, check_same_again)
