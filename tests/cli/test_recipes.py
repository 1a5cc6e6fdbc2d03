"""``ganlm recipes``, through its real entry point."""

import json
import tomllib
from pathlib import Path

from tests.command_line import refused
from tests.conftest import Ganlm


def test_recipes_are_listed_shown_copied_and_validated(ganlm: Ganlm, tmp_path: Path) -> None:
    assert {"autoregressive", "one-shot"} <= {one["name"] for one in json.loads(ganlm("recipes", "list", "--json")[1])}
    shown = ganlm("recipes", "show", "one-shot")[1]
    assert tomllib.loads(shown) == json.loads(ganlm("recipes", "show", "one-shot", "--json")[1])
    code, out, err = ganlm("recipes", "copy", "one-shot")
    assert (code, out, err) == (0, "", "one-shot.toml: edit it, then run it with 'ganlm run --config one-shot.toml'\n")
    assert (tmp_path / "one-shot.toml").read_text() == shown
    assert refused(ganlm, "recipes", "copy", "one-shot") == "one-shot.toml already exists; give another file"
    assert ganlm("recipes", "validate", "one-shot.toml") == (0, "one-shot.toml: ok\n", "")


def test_validate_names_what_is_wrong(ganlm: Ganlm, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[loss.hing]\n")
    assert ganlm("recipes", "validate", "one-shot", "mine.toml") == (
        2,
        "one-shot: ok\nmine.toml: there is no loss 'hing'; did you mean 'hinge'? 'ganlm list loss' shows them\n",
        "ganlm: error: 1 of 2 recipes cannot be run\n",
    )


def test_a_copy_that_cannot_be_written_is_told(ganlm: Ganlm, tmp_path: Path) -> None:
    code, _, err = ganlm("recipes", "copy", "mle", tmp_path / "nowhere" / "mle.toml")
    assert code == 1
    assert err.startswith(f"ganlm: error: cannot write {tmp_path / 'nowhere' / 'mle.toml'}: ")


def test_validate_names_a_file_once(ganlm: Ganlm) -> None:
    assert ganlm("recipes", "validate", "nowhere.toml")[1] == "nowhere.toml is missing; give a TOML file\n"


def test_copies_and_checks_are_told_as_json(ganlm: Ganlm, tmp_path: Path) -> None:
    code, out, _ = ganlm("recipes", "copy", "mle", "mine.toml", "--json")
    assert (code, json.loads(out)) == (0, {"recipe": "mle", "file": "mine.toml"})
    (tmp_path / "torn.toml").write_text("[training")
    code, out, _ = ganlm("recipes", "validate", "mine.toml", "torn.toml", "--json")
    good, torn = json.loads(out)
    assert code == 2 and good == {"recipe": "mine.toml", "ok": True, "problem": ""}
    assert torn["ok"] is False and "is not valid TOML" in torn["problem"]
