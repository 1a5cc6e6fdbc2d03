"""Untrusted TOML: bounds hold before the parser sees the text."""

import pytest

from ganlm_core.system.toml import DEEPEST, MOST_PARTS, flat, parse

REFUSED = {
    "an array 100,000 deep": ("a=" + "[" * 100_000, "line 1 nests deeper than the 8 levels allowed"),
    "inline tables 5,000 deep": ("\na=" + "{b=" * 5_000, "line 2 nests deeper than the 8 levels allowed"),
    "a key of 10,001 parts": ("a" + ".a" * 10_000 + "=1", "line 1 has a key of 10001 parts, more than the 16 allowed"),
    "a table of 20,001 parts": ("[" + "a." * 20_000 + "a]", "line 1 has a key of 20001 parts"),
    "quoted parts": ('"a" . ' * 10_000 + "'b' = 1", "line 1 has a key of 10001 parts"),
    "parts behind a text of several lines": (
        'x = """\n"\\""""\n' + "a." * 100 + "a=1",
        "line 3 has a key of 101 parts",
    ),
    "a number of 5,001 digits": ("a=" + "9" * 5_001, "Exceeds the limit"),
    "a text without an end": ('a="""' + '\\"""' * 100_000, "Unterminated string"),
    "a month 13": ("a=1979-13-27", "Expected newline"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_refuses_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value).startswith(reason)


def test_text_within_the_bounds_is_read() -> None:
    nested, dotted = "[" * DEEPEST + "]" * DEEPEST, ".".join("k" * MOST_PARTS)
    value = parse(f"a = {nested}\n{dotted} = 1\n")
    for _ in range(MOST_PARTS):
        value = value["k"]
    assert value == 1  # type: ignore[comparison-overlap]


def test_dots_and_brackets_in_texts_and_comments_count_for_nothing() -> None:
    noise = "[{" * 50 + "a." * 50
    text = f"""
# {noise}
a = "{noise} \\" {noise}"
b = '{noise}'
c = \"\"\"{noise}
" {noise}\"\"\"\"
d = '''{noise}
' {noise}''''
e = [{", ".join(["1.5"] * 50)}]
f = 07:32:00.999
"""
    found = parse(text)
    assert found["a"] == f'{noise} " {noise}' and found["b"] == noise
    assert found["c"] == f'{noise}\n" {noise}"' and found["d"] == f"{noise}\n' {noise}'"
    assert found["e"] == [1.5] * 50


def test_a_byte_order_mark_and_windows_line_ends_are_accepted() -> None:
    assert parse("\ufeff[a]\r\nb = 1\r\n") == {"a": {"b": 1}}


def test_nested_tables_have_dotted_keys() -> None:
    assert dict(flat({"a": {"b": {"c": 1}, "d": [2]}, "e": "x"})) == {"a.b.c": 1, "a.d": [2], "e": "x"}
