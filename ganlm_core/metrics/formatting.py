"""Format the values of metrics as text, in one way for terminals, cards and pages. Nothing here imports torch."""

from ganlm_core.metrics.specs import METRICS

MEASURES = {measure.name: measure for metric in METRICS for measure in metric.measures}
"""The measures of the built-in metrics by name."""

SHARES = {name for name, measure in MEASURES.items() if measure.share} | {"discriminator_accuracy"}
"""Values that are shown in per cent."""


def format_value(value: float | None, share: bool = False) -> str:
    """Return a share in per cent, another number with three decimals below 1 and two above, a dash for None."""
    if value is None:
        return "-"
    if share:
        return f"{value:.1%}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.2f}"


def format_metric(name: str, value: float | None) -> str:
    """Return the value of the measure ``name`` as :func:`format_value` does; other names than ours are no shares."""
    return format_value(value, name in SHARES)
