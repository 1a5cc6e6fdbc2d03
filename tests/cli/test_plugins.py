"""``ganlm plugins``, on plugins from files and on built-in ones."""

import json
from pathlib import Path

import pytest

from ganlm_core.testing import CHECKS
from tests.conftest import Ganlm

PLUGIN = """
from dataclasses import dataclass
from ganlm_core.components import ComponentSpec, Options, option
from ganlm_core.hookspecs import hookimpl

class Margin(Options):
    margin: float = option(1.0, "how far", min=0)

@hookimpl
def ganlm_components():
    yield ComponentSpec("loss", "fine", "ganlm_core.algorithms.losses:Hinge", Margin, "as it should be")
    yield ComponentSpec("loss", "averaged", "ganlm_core.algorithms.losses:Hinge", Margin, "")
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


def test_a_component_that_passes(ganlm: Ganlm, plugin: Path) -> None:
    code, out, err = ganlm("plugins", "check", "fine", "--set", "margin=2", "--plugin", plugin)
    checks = [check.name for check in CHECKS["loss"]]
    assert (code, err) == (0, f"{len(checks)} checks of 'fine', none failed\n")
    title, *lines = out.splitlines()
    assert title == "loss 'fine' with margin=2.0"
    assert [line.split()[1] for line in lines] == checks
    assert lines[1] == "  skipped   check_light_import               a local plugin file is imported only with --plugin"
    assert {line.split()[0] for line in lines} == {"passed", "skipped"}


WRONG = """
from ganlm_core.components import ComponentSpec, NoOptions
from ganlm_core.hookspecs import hookimpl
from ganlm_core.testing.references import Bag

class Wrong(Bag):
    def features(self, sequence, mask):
        return self.hidden(super().features(sequence, mask)[:, 1:])

@hookimpl
def ganlm_components():
    yield ComponentSpec("discriminator", "wrong", f"{__name__}:Wrong", NoOptions, "features of the wrong size")
"""


def test_an_exception_of_a_component_is_reported_once_with_its_line(ganlm: Ganlm, tmp_path: Path) -> None:
    """However deep in torch it was raised, and however many checks it stops."""
    file = tmp_path / "wrong.py"
    file.write_text(WRONG)
    code, out, _ = ganlm("plugins", "check", "wrong", "--json", "--plugin", file)
    (failed,) = [result for result in json.loads(out) if result["status"] == "failed"]
    assert (code, failed["check"]) == (3, "check_shapes")
    assert failed["message"].startswith("discriminator 'wrong' raised RuntimeError: mat1 and mat2 shapes cannot be ")
    assert f" ({file}, line 8) in the check of: Logits are (B,), or (B, T)" in failed["message"]


def test_a_plugin_of_which_one_component_fails(ganlm: Ganlm, plugin: Path) -> None:
    code, out, err = ganlm("plugins", "check", "mine", "--json", "--plugin", plugin)
    results = json.loads(out)
    assert code == 3
    assert err == f"ganlm: error: 1 of {len(results)} checks of 'mine' failed; each says what to change\n"
    assert len(results) == 2 * len(CHECKS["loss"])
    assert [result for result in results if result["status"] == "failed"] == [
        {
            "component": "loss 'averaged'",
            "check": "check_declaration",
            "status": "failed",
            "message": "loss 'averaged' has no one-line summary; 'ganlm list' shows it",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["lstn"],
            2,
            "there is no plugin or component 'lstn'; did you mean 'lstm'? 'ganlm plugins' and 'ganlm list' show them",
        ),
        (["fine", "--set", "margin"], 2, "--set has 'margin'; write each option as OPTION=VALUE"),
        (
            ["fine", "--set", "margn=1"],
            2,
            "there is no loss 'fine' option 'margn'; did you mean 'margin'? it takes margin",
        ),
        (["fine", "--set", "margin=-1"], 2, "loss 'fine': margin is '-1'; -1.0 is not in the range x>=0.0"),
    ],
)
def test_names_without_checks_are_refused(
    ganlm: Ganlm, plugin: Path, arguments: list[str], code: int, message: str
) -> None:
    assert ganlm("plugins", "check", *arguments, "--plugin", plugin) == (code, "", f"ganlm: error: {message}\n")


RECIPES = """
from pathlib import Path
from ganlm_core.hookspecs import hookimpl

@hookimpl
def ganlm_recipes():
    return sorted(Path(__file__).parent.glob("*.toml"))
"""

BAD_RECIPES = {
    "torn": ("[training", "{}/torn.toml is not valid TOML (Expected ']' at the end of a table declaration (at end of "
             "document)"),
    "misspelt": ("[training]\nstepps = 3", "there is no training option 'stepps'; did you mean 'steps'?"),
    "lonely": ("[generator.lsmt]", "there is no generator 'lsmt'; did you mean 'lstm'? 'ganlm list generator' shows "
               "them"),
    "boastful": ("[about]\nsumary = 'x'", "there is no key 'sumary' in [about]; did you mean 'summary'? the keys are "
                 "summary, paper, needs, paper_values"),
}  # fmt: skip


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """A plugin of a good recipe and of every bad one."""
    plugin = tmp_path / "mine.py"
    plugin.write_text(RECIPES)
    (tmp_path / "good.toml").write_text("[training]\nsteps = 3")
    for name, (toml, _) in BAD_RECIPES.items():
        (tmp_path / f"{name}.toml").write_text(toml)
    return plugin


@pytest.mark.parametrize("name", BAD_RECIPES)
def test_a_bad_recipe_is_told_wherever_its_plugin_is_asked_about(
    ganlm: Ganlm, recipes: Path, tmp_path: Path, name: str
) -> None:
    told = f"recipe '{name}' cannot be run: {BAD_RECIPES[name][1].format(tmp_path)}"
    failed = {"component": f"recipe '{name}'", "check": "check_recipe", "status": "failed"}
    code, out, err = ganlm("plugins", "check", "mine", "--json", "--plugin", recipes)
    (result,) = [one for one in json.loads(out) if one["component"] == f"recipe '{name}'"]
    assert result.pop("message").startswith(told)
    assert (code, result, err) == (
        3,
        failed,
        "ganlm: error: 4 of 5 checks of 'mine' failed; each says what to change\n",
    )
    assert f"  failed    check_recipe                     {told}" in ganlm("plugins", "check", name, *given(recipes))[1]
    code, out, _ = ganlm("plugins", "doctor", "--plugin", recipes)
    assert (code, told in out) == (0, True)
    assert told in ganlm("plugins", "--plugin", recipes)[1]
    code, out, _ = ganlm("recipes", "list", "--plugin", recipes)
    assert (code, name in [line.split()[0] for line in out.splitlines()]) == (0, True)


def test_a_good_recipe_is_checked_too(ganlm: Ganlm, recipes: Path) -> None:
    shown = "recipe 'good'\n  passed    check_recipe\n"
    assert ganlm("plugins", "check", "good", *given(recipes)) == (0, shown, "1 check of 'good', none failed\n")
    assert "recipe 'good'" not in ganlm("plugins", "--plugin", recipes)[1]


def given(plugin: Path) -> list[str]:
    return ["--plugin", str(plugin)]


def test_a_plugin_with_nothing_to_check_is_not_unknown(ganlm: Ganlm) -> None:
    told = "'tensorboard' has no components, recipes or commands, so there is nothing to check\n"
    assert ganlm("plugins", "check", "tensorboard") == (0, "", told)


def test_the_commands_of_a_plugin_are_imported(ganlm: Ganlm, tmp_path: Path) -> None:
    path = tmp_path / "steps.py"
    path.write_text(
        "import click\nfrom ganlm_core.hookspecs import hookimpl\n"
        "@click.command()\ndef dance(): ...\ndef plain(): ...\n@hookimpl\ndef ganlm_commands():\n"
        "    return {name: (f'{__name__}:{name}', 'move') for name in ('dance', 'plain')}\n"
    )
    assert ganlm("plugins", "check", "dance", "--plugin", path)[::2] == (0, "1 check of 'dance', none failed\n")
    wanted = (
        "command 'plain' of steps.py is a value of type function, and must be a click.Command; "
        "decorate its function with click.command()"
    )
    code, out, _ = ganlm("plugins", "check", "steps", "--plugin", path)
    assert (code, out.splitlines()[-1]) == (3, f"  failed    check_command                    {wanted}")
    assert ganlm("--plugin", path, "plain") == (3, "", f"ganlm: error: {wanted}\n")


def test_a_disabled_plugin_is_not_checked(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLM_DISABLE_PLUGINS", "lstm")
    assert ganlm("plugins", "check", "lstm") == (
        3,
        "",
        "ganlm: error: plugin 'lstm' of ganlm is disabled: GANLM_DISABLE_PLUGINS names it; "
        "'ganlm plugins' shows all of them\n",
    )


def test_plugins_shows_every_plugin_in_strict_mode_too(
    ganlm: Ganlm, tall: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLM_PLUGINS", "nobody")
    monkeypatch.setenv("GANLM_STRICT_PLUGINS", "1")
    code, out, err = ganlm("plugins", "--plugin", tall)
    assert (code, err) == (0, "")
    assert "nobody  " in out
    assert "broken  " in out
    health = json.loads(ganlm("plugins", "list", "--json", "--plugin", tall)[1])
    assert [(one["name"], one["status"]) for one in health[-2:]] == [("tall", "ok"), ("nobody", "broken")]
    code, _, err = ganlm("list")
    assert (code, err) == (
        3,
        "ganlm: error: plugin 'nobody' is broken: GANLM_PLUGINS names it, and no installed distribution has it\n",
    )


def test_a_new_plugin_is_told_as_json(ganlm: Ganlm) -> None:
    code, out, err = ganlm("plugins", "new", "sunny", "--kind", "loss", "--json")
    found = json.loads(out)
    assert (code, found["folder"]) == (0, "sunny") and "sunny/pyproject.toml" in found["files"]
    assert err.splitlines()[0] == "test it: cd sunny && pip install -e . && pytest"
    assert err.splitlines()[1].startswith("use it: ganlm run ")
