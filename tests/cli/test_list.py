"""``ganlm list``, through its real entry point."""

import json

from ganlm_core import __version__
from tests.command_line import refused
from tests.conftest import Ganlm


def test_list_is_a_table_with_a_source_for_each_network(ganlm: Ganlm) -> None:
    code, out, _ = ganlm("list", "generator")
    header, *rows = out.splitlines()
    assert (code, header.split()) == (0, ["kind", "name", "summary", "source"])
    assert {row.split()[1] for row in rows} == {
        "lstm",
        "lstm-per-label",
        "conv",
        "causal-conv",
        "mlp",
        "ngram-mlp",
        "transformer",
        "relational-memory",
        "leakgan",
    }
    assert all(row.startswith("generator  ") for row in rows)


def test_list_as_json_has_every_kind(ganlm: Ganlm) -> None:
    entries = json.loads(ganlm("list", "--json")[1])
    assert {"generator", "discriminator", "loss", "corpus", "tokenizer", "optimizer"} <= {
        one["kind"] for one in entries
    }
    (hinge,) = [one for one in entries if one["name"] == "hinge"]
    assert (hinge["kind"], hinge["distribution"], hinge["version"]) == ("loss", "ganlm", __version__)


def test_list_of_an_unknown_kind(ganlm: Ganlm) -> None:
    assert refused(ganlm, "list", "generators").startswith(
        "there is no kind 'generators'; did you mean 'generator'? the kinds are generator, discriminator, "
    )


def test_the_weights_have_the_forms_of_tables(ganlm: Ganlm) -> None:
    assert ganlm("list", "weights", "--format", "csv")[1].splitlines()[0] == "kind,name,summary,source"
    assert ganlm("list", "weights", "--format", "markdown")[1].startswith("| kind | name | summary |")
    assert "\\toprule" in ganlm("list", "weights", "--format", "latex")[1]
    assert ganlm("list", "weights", "--json") == ganlm("list", "weights", "--format", "json")
