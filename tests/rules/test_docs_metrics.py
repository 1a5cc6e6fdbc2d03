"""docs/metrics.md and the code list the same metrics, numbers and encoders."""

import re
import shlex

import click
import pytest

from ganlm_core.cli.compare import compare
from ganlm_core.cli.eval import eval_
from ganlm_core.evaluation.scores import Row, Scores
from ganlm_core.metrics.specs import ENCODERS, METRICS
from ganlm_core.plugins.commands import COMMANDS
from tests.environments import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def table_rows(header: str) -> list[list[str]]:
    """Return the cells of all tables with this header."""
    tables = re.findall(rf"^\| {re.escape(header)} \|\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE)
    assert tables
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for table in tables for line in table.splitlines()]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_metric_is_defined_with_its_numbers_and_no_other_is() -> None:
    defined = {names(metric)[0]: names(numbers) for metric, numbers, _ in table_rows("metric | numbers | definition")}
    assert defined == {spec.name: [measure.name for measure in spec.measures] for spec in METRICS}


def test_every_encoder_is_described() -> None:
    assert [names(encoder)[0] for encoder, _ in table_rows("encoder | description")] == [spec.name for spec in ENCODERS]


@pytest.mark.parametrize("section", re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE))
def test_a_section_that_defines_metrics_lists_their_traps(section: str) -> None:
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    assert ("| metric | numbers | definition |" in text) == ("Traps:" in text)


def test_the_page_says_which_metrics_must_be_asked_for() -> None:
    assert [spec.name for spec in METRICS if spec.when == "asked"] == names(
        re.search(r"measured only on request: (`[^`]*`)", PAGE)[1].replace("--metrics ", "")  # type: ignore[index]
    )


def test_the_commands_have_the_options_on_the_page() -> None:
    commands: dict[str, click.Command] = {"eval": eval_, "compare": compare}
    assert commands.keys() <= COMMANDS.keys()
    (block,) = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        program, name, *words = shlex.split(line, comments=True)
        assert program == "ganlm"
        flags = {flag for option in commands[name].params for flag in option.opts}
        assert {word for word in words if word.startswith("-")} <= flags
        metrics = words[words.index("--metrics") + 1].split(",") if "--metrics" in words else []
        assert set(metrics) <= {spec.name for spec in METRICS}


def test_the_file_has_the_keys_on_the_page() -> None:
    data = Scores([Row("real", "real")], {"bleu": METRICS[0].measures}, {}).to_dict()
    rows = {key: meaning for keys, meaning in table_rows("key | meaning") for key in names(keys)}
    assert rows.keys() == data.keys()
    assert names(rows["measures"]) == list(data["measures"][0])
    assert names(rows["rows"]) == list(data["rows"][0])
