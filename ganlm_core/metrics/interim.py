"""The values of the interim evaluations of a run: their titles, and which way is better. No torch."""

from ganlm_core.components import Measure
from ganlm_core.metrics.formatting import MEASURES

MONITORED = (
    Measure("validation_nll", "validation NLL", "lower", "both"),
    Measure("bigram_divergence", "bigram divergence", "lower", "both"),
    Measure("distinct_bigrams", "distinct bigrams", "higher", "diversity"),
    Measure("entropy", "entropy"),
)
"""The values that the monitor measures itself; all other values are those of the metrics of every run."""

_TITLES = {name: measure.title for name, measure in MEASURES.items()} | {each.name: each.title for each in MONITORED}


def title_of(name: str) -> str:
    """Return the title of a value of the steps or evaluations of a run; its name in words if no measure declares it."""
    return _TITLES.get(name, name.replace("_", " "))
