"""Loading one plugin: every way in which it can be wrong."""

from pathlib import Path

import pytest

from ganlm_core import hookspecs
from ganlm_core.errors import PluginError
from ganlm_core.plugins.host import Host
from tests.guests import GOOD, Install, health_of, place

BROKEN = {
    "an import that is missing": ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
    "a syntax error": ("def f(:", "SyntaxError: invalid syntax ("),
    "an exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "an exception without a message": ("raise BaseException", "BaseException"),
    "a message of two lines": ("raise ValueError('one\\ntwo')", "ValueError: one two"),
    "a hook that raises": (
        "@hookimpl\ndef ganlm_components():\n    yield 1 / 0",
        "ZeroDivisionError: division by zero",
    ),
    "a spec that is none": (
        "@hookimpl\ndef ganlm_components():\n    yield 'lstm'",
        "TypeError: ganlm_components gave 'lstm'; yield ComponentSpec objects",
    ),
    "no list at all": (
        "@hookimpl\ndef ganlm_components():\n    return 3",
        "TypeError: ganlm_components gave 3; let it yield what it has, or return a list",
    ),
    "a yield that is forgotten": (
        "@hookimpl\ndef ganlm_components():\n    ComponentSpec('loss', 'x', 'm:a')",
        "TypeError: ganlm_components gave None; let it yield what it has, or return a list",
    ),
    "a name twice, for ever": (
        "@hookimpl\ndef ganlm_components():\n    while True:\n        yield ComponentSpec('loss', 'x', 'm:a')",
        "ValueError: it gives loss x twice",
    ),
    "an unknown hook": (
        "@hookimpl\ndef ganlm_componets():\n    return []",
        "it implements ganlm_componets, which is no hook; did you mean 'ganlm_components'?",
    ),
    "an argument that no call gives": (
        "@hookimpl\ndef ganlm_run_ended(state):\n    pass",
        "PluginValidationError: Plugin 'guest' for hook 'ganlm_run_ended' hookimpl definition",
    ),
    "no hooks": (
        "def ganlm_components():\n    return []",
        "it has no hooks; decorate its functions with ganlm_core.hookspecs.hookimpl",
    ),
    "a path where a list belongs": (
        "@hookimpl\ndef ganlm_recipes():\n    return 'mine.toml'",
        "TypeError: ganlm_recipes gave 'mine.toml'; let it yield what it has, or return a list",
    ),
    "an API version that is text": (
        "GANLM_PLUGIN_API = '1'",
        "GANLM_PLUGIN_API is '1'; wanted a whole number, such as 1",
    ),
    "a recipe that is missing": (
        "@hookimpl\ndef ganlm_recipes():\n    return [Path('nowhere.toml')]",
        "ValueError: recipe nowhere.toml is not a TOML file",
    ),
    "a recipe twice": (
        "@hookimpl\ndef ganlm_recipes():\n    return [Path(__file__).with_name('twin.toml')] * 2",
        "ValueError: it gives recipe twin twice",
    ),
    "commands that are no dict": (
        "@hookimpl\ndef ganlm_commands():\n    return ['x']",
        "TypeError: ganlm_commands gave ['x']; return a dict: name -> (dotted target, one line of help)",
    ),
    "commands that are forgotten": (
        "@hookimpl\ndef ganlm_commands():\n    {'x': ('m:a', 'help')}",
        "TypeError: ganlm_commands gave None; return a dict: name -> (dotted target, one line of help)",
    ),
    "commands that are no pairs": (
        "@hookimpl\ndef ganlm_commands():\n    return {'x': 'ab'}",
        "TypeError: command 'x' is 'ab'; give a pair of texts: (dotted target, one line of help)",
    ),
    "a command whose name is no text": (
        "@hookimpl\ndef ganlm_commands():\n    return {3: ('m:a', 'help')}",
        "ValueError: command 3: a name has lower-case letters, digits and hyphens, and starts with a letter",
    ),
    "a command without a dotted target": (
        "@hookimpl\ndef ganlm_commands():\n    return {'x': ('m.a', 'help')}",
        "ValueError: command 'x': the target 'm.a' is not 'package.module:attribute'",
    ),
    "a command whose help is no text": (
        "@hookimpl\ndef ganlm_commands():\n    return {'x': ('m:a', None)}",
        "TypeError: command 'x' is ('m:a', None); give a pair of texts: (dotted target, one line of help)",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_and_the_rest_keeps_working(
    install: Install, tmp_path: Path, source: str, reason: str
) -> None:
    (tmp_path / "twin.toml").touch()
    install(source)
    install(GOOD, name="neighbour", distribution="neighbour")
    host = Host.discover()
    status, given = health_of(host, "guest")
    assert status == "broken"
    assert given.startswith(reason)
    assert "\n" not in given
    assert health_of(host, "neighbour") == ("ok", "")
    assert {"hinge", "good"} <= host.specs("loss").keys()


def test_a_plugin_that_breaks_midway_registers_nothing(install: Install) -> None:
    module = install(
        """
        @hookimpl
        def ganlm_components():
            yield ComponentSpec("loss", "first", "m:a")
            raise ValueError("late")
        """
    )
    host = Host.discover()
    assert "first" not in host.specs("loss")
    with pytest.raises(PluginError) as caught:
        host.spec("loss", "first")
    assert str(caught.value) == (
        f"loss 'first' cannot be used: plugin 'guest' of some-zoo is broken: ValueError: late ({place(module, 9)}); "
        "'ganlm plugins' shows all of them"
    )


def test_an_interrupt_while_loading_is_raised(install: Install) -> None:
    install("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Host.discover()


def test_a_plugin_for_another_api_is_refused_before_its_hooks_run(install: Install) -> None:
    install("GANLM_PLUGIN_API = 2\n@hookimpl\ndef ganlm_components():\n    raise AssertionError")
    assert health_of(Host.discover(), "guest") == (
        "incompatible",
        "it is for plugin API 2, this is 1; install a version that fits",
    )


def test_a_deprecated_hook_is_reported_and_still_called(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def ganlm_old() -> None: ...

    warning = DeprecationWarning("ganlm_old is deprecated; implement ganlm_new")
    monkeypatch.setattr(hookspecs, "ganlm_old", hookspecs.hookspec(warn_on_impl=warning)(ganlm_old), raising=False)
    install(GOOD + "\n@hookimpl\ndef ganlm_old():\n    pass\n")
    host = Host.discover()
    assert health_of(host, "guest") == ("ok", "ganlm_old is deprecated; implement ganlm_new")
    assert "good" in host.specs("loss")
