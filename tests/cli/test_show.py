"""``ganlm show``, through its real entry point."""

import json

from ganlm_core import __version__
from tests.command_line import refused
from tests.conftest import Ganlm


def test_show_has_every_option_of_every_kind_of_the_name(ganlm: Ganlm) -> None:
    code, out, _ = ganlm("show", "lstm")
    assert code == 0
    assert f"generator lstm (ganlm {__version__})\n" in out
    assert f"discriminator lstm (ganlm {__version__})\n" in out
    assert "--gen.hidden-size" in out
    generator, discriminator = json.loads(ganlm("show", "lstm", "--json")[1])
    assert (generator["kind"], discriminator["kind"]) == ("generator", "discriminator")
    (size,) = [option for option in generator["options"] if option["name"] == "hidden_size"]
    assert (size["flags"], size["type"], size["default"], size["min"]) == (["--gen.hidden-size"], "int", 128, 1)


def test_show_names_the_command_with_the_defaults_of_a_run(ganlm: Ganlm) -> None:
    """A dropout of 0.3 for small text, for example, where the component's own default is 0."""
    lines = ganlm("show", "lstm")[1].splitlines()
    for flag in ("gen", "disc"):
        command = f"ganlm run --{flag} lstm --help"
        assert f"Recipes and small text change some defaults; '{command}' shows those of a run." in lines
    assert "change some defaults" not in ganlm("show", "validity")[1]


def test_show_an_optimiser_and_a_recipe(ganlm: Ganlm) -> None:
    assert "--gen-optimizer.momentum --disc-optimizer.momentum" in ganlm("show", "sgd")[1]
    assert "\ntraining.steps " in ganlm("show", "autoregressive")[1]


def test_show_of_an_unknown_name(ganlm: Ganlm) -> None:
    assert refused(ganlm, "show", "lstmm") == (
        "there is no component or recipe 'lstmm'; did you mean 'lstm'? 'ganlm list' and 'ganlm recipes list' show them"
    )
