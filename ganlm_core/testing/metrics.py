"""Checks of metrics."""

from collections.abc import Sequence

from ganlm_core.data.corpus import Columns, Corpus
from ganlm_core.data.grammar import NumberedGrammar
from ganlm_core.metrics.metric import Conditions, Likelihood, Measured, Metric, Subject, problem_with
from ganlm_core.plugins.wording import described
from ganlm_core.testing.case import Case, Failed
from ganlm_core.testing.kinds import build

GRAMMAR = NumberedGrammar()
SENTENCES = GRAMMAR.sample(240, seed=0)
REAL = tuple(SENTENCES[160:200])
TEXTS = (*SENTENCES[200:], "dog the")
LABELS = (*GRAMMAR.labels_of(SENTENCES[200:]), "singular")
COLUMNS = {"train": Columns(GRAMMAR.labels_of(SENTENCES[:120]))}
WITH_PROCESS = Conditions(
    Corpus("grammar", SENTENCES[:120], SENTENCES[120:160], REAL, process=GRAMMAR, columns=COLUMNS)
)
WITHOUT = Conditions(Corpus("plain", SENTENCES[:120], SENTENCES[120:160], REAL, columns=COLUMNS))


def _likelihood(texts: Sequence[str]) -> Likelihood:
    return Likelihood(nll_per_token=2.0, tokens=sum(len(text.split()) + 1 for text in texts), sentences=len(texts))


def _log_prob(texts: Sequence[str]) -> list[float]:
    return [-2.0 * len(text.split()) for text in texts]


def _scores(texts: Sequence[str]) -> list[float]:
    return [float(len(text)) for text in texts]


WHOLE = Subject(TEXTS, _likelihood, REAL, log_prob=_log_prob, scores=_scores, labels=LABELS)
"""A subject with everything that a metric may use: texts, labels, real texts, a likelihood, the scores of a
discriminator."""


def check_values(case: Case) -> None:
    """It returns finite numbers by name, with every declared measure, and a protocol in words."""
    found = _measure(case, WHOLE, WITH_PROCESS)
    case.expect(found.values, "gives no values although all inputs are there; return at least one")
    case.expect(found.protocol.strip(), "gives values without a protocol; say how many sentences they are from")
    missing = [measure.name for measure in case.spec.measures if measure.name not in found.values]
    case.expect(
        not missing, f"declares the measures {', '.join(missing)} and gives {', '.join(found.values)}; let both agree"
    )


def check_missing(case: Case) -> None:
    """It leaves out values that do not exist: no likelihood, no process, no real text, one sentence, repeats."""
    subjects = {
        "of a source without a likelihood": Subject(TEXTS),
        "of which there is only one": Subject(TEXTS[:1], _likelihood, REAL),
        "that are all the same": Subject((TEXTS[0],) * 5, _likelihood, REAL),
        "of no word or one word": Subject(("", "x"), None, REAL),
    }
    for which, subject in subjects.items():
        for corpus, conditions in {"with": WITH_PROCESS, "without": WITHOUT}.items():
            try:
                _measure(case, subject, conditions)
            except (Failed, KeyboardInterrupt):
                raise
            except BaseException as error:
                raise case.failed(
                    f"fails on sentences {which}, {corpus} an exact process ({described(error)}); "
                    "leave out a value that does not exist"
                ) from error


def check_same_again(case: Case) -> None:
    """The same texts give the same values, and the metric does not change the texts."""
    texts = list(TEXTS)
    one, other = (_measure(case, Subject(texts, _likelihood, REAL), WITH_PROCESS, seed) for seed in (0, 1))
    case.expect(one == other, "gives other values for the same texts; use the seed of its Conditions")
    case.expect(texts == list(TEXTS), "changes the texts that it gets; copy them before you change them")


def _measure(case: Case, subject: Subject, conditions: Conditions, seed: int = 0) -> Measured:
    """Build the metric and measure; every value must be a finite number."""
    metric: Metric = build(case, seed=seed)
    found = metric(subject, conditions)
    problem = problem_with(found)
    case.expect(not problem, problem)
    return found


FIRST = (check_values,)
CHECKS = (check_missing, check_same_again)
