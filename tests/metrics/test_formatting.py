"""Values as text, and tables without empty columns."""

import pytest

from ganlm_core.metrics.formatting import format_metric, format_value, without_empty_columns


@pytest.mark.parametrize(
    ("value", "share", "text"),
    [
        (None, False, "-"),
        (None, True, "-"),
        (0.12345, True, "12.3%"),
        (0.12345, False, "0.123"),
        (-0.9996, False, "-1.000"),
        (1.005, False, "1.00"),
        (12345.678, False, "12,345.68"),
    ],
)
def test_values_have_three_decimals_below_one_and_two_above(value: float | None, share: bool, text: str) -> None:
    assert format_value(value, share) == text


def test_a_metric_is_a_share_if_it_is_declared_as_one() -> None:
    assert [format_metric(name, 0.5) for name in ("valid", "bleu4", "discriminator_accuracy", "of_a_plugin")] == [
        "50.0%", "0.500", "50.0%", "0.500"
    ]  # fmt: skip


def test_a_column_without_a_value_is_left_out() -> None:
    table = [["", "T", "valid", "distinct", "held-out NLL"], ["a", "", "-", "1.0%", "-"], ["b", "", "-", "-", "2.00"]]
    assert without_empty_columns(table) == [
        ["", "distinct", "held-out NLL"], ["a", "1.0%", "-"], ["b", "-", "2.00"]
    ]  # fmt: skip
    assert without_empty_columns([["name", "valid"], ["", "-"]]) == [["name"], [""]]
    assert table[0] == ["", "T", "valid", "distinct", "held-out NLL"]
