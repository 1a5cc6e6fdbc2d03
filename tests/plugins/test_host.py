"""The host against plugins of every kind: good ones, colliding ones, and ones that fail in each way they can."""

import importlib.metadata
import importlib.util
import itertools
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

from ganlm_core import hookspecs
from ganlm_core.components import NoOptions
from ganlm_core.errors import DataError, PluginError, UnknownName, UsageError
from ganlm_core.plugins.discovery import installed
from ganlm_core.plugins.host import Host

HEAD = """
from pathlib import Path
from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
"""
GOOD = """
def target(options, **arguments):
    return options, arguments

@hookimpl
def ganlm_components():
    yield ComponentSpec("loss", "good", f"{__name__}:target")
"""

Install = Callable[..., str]
_serial = itertools.count()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Write a distribution with one plugin, as pip would leave it; give the name of its module."""
    for variable in ("GANLM_PLUGINS", "GANLM_DISABLE_PLUGINS", "GANLM_STRICT_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(source: str, name: str = "guest", distribution: str = "some-zoo", version: str = "2.5") -> str:
        module = f"guest_module_{next(_serial)}"
        (tmp_path / f"{module}.py").write_text(HEAD + dedent(source))
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n\nName: no\n")
        (info / "entry_points.txt").write_text(f"[console_scripts]\nx = y:z\n\n[ganlm]\n{name} = {module}\n")
        return module

    return install


def place(module: str, line: int) -> str:
    return f"{importlib.util.find_spec(module).origin}, line {line}"  # type: ignore[union-attr]


def health_of(host: Host, name: str) -> tuple[str, str]:
    (health,) = [health for health in host.health if health.name == name]
    return health.status, health.reason


def test_the_built_in_plugins_come_first_and_are_well(install: Install) -> None:
    install(GOOD, name="aaa", distribution="aaa")
    health = Host.discover().health
    built_in = {
        "algorithms",
        "data",
        "metrics",
        "mlp",
        "lstm",
        "conv",
        "transformer",
        "relational",
        "leakgan",
        "tensorboard",
    }
    first = health[: len(built_in)]
    assert {one.name for one in first} == built_in
    assert {(one.distribution, one.status) for one in first} == {("ganlm", "ok")}


def test_installed_plugins_are_those_that_importlib_metadata_finds(install: Install) -> None:
    install(GOOD)
    install(GOOD, name="other", distribution="Other_Zoo", version="0.1rc1")
    wanted = {
        (point.name, point.dist.metadata["Name"], point.dist.version)
        for point in importlib.metadata.entry_points(group="ganlm")
        if point.dist
    }
    found = {(one.name, one.origin.distribution, one.origin.version) for part in installed() for one in part}
    assert found == wanted
    assert {("guest", "some-zoo", "2.5"), ("other", "Other_Zoo", "0.1rc1")} < found


def test_a_good_plugin_is_found_with_its_origin_and_its_component_built(install: Install) -> None:
    install(GOOD)
    host = Host.discover()
    (health,) = [health for health in host.health if health.name == "guest"]
    assert (health.distribution, health.version, health.status, health.reason) == ("some-zoo", "2.5", "ok", "")
    assert health.components == ("loss good",)
    assert health.seconds > 0
    assert host.origin("loss", "good") == ("some-zoo", "2.5")
    assert host.build("loss", "good", NoOptions(), shape=3) == (NoOptions(), {"shape": 3})


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
    "a hook nobody knows": (
        "@hookimpl\ndef ganlm_componets():\n    return []",
        "it implements ganlm_componets, which is no hook; did you mean 'ganlm_components'?",
    ),
    "an argument nobody gives": (
        "@hookimpl\ndef ganlm_run_ended(state):\n    pass",
        "PluginValidationError: Plugin 'guest' for hook 'ganlm_run_ended' hookimpl definition",
    ),
    "no hooks": (
        "def ganlm_components():\n    return []",
        "it has no hooks; decorate its functions with ganlm_core.hookspecs.hookimpl",
    ),
    "a recipe that is missing": (
        "@hookimpl\ndef ganlm_recipes():\n    return [Path('nowhere.toml')]",
        "ValueError: recipe nowhere.toml is not a TOML file",
    ),
    "a recipe twice": (
        "@hookimpl\ndef ganlm_recipes():\n    return [Path(__file__).with_name('twin.toml')] * 2",
        "ValueError: it gives recipe twin twice",
    ),
    "commands that are no pairs": (
        "@hookimpl\ndef ganlm_commands():\n    return {'x': 'm:a'}",
        "ValueError: too many values to unpack (expected 2)",
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


def test_a_plugin_that_breaks_half_way_registers_nothing(install: Install) -> None:
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


def test_an_interrupt_while_loading_is_not_swallowed(install: Install) -> None:
    install("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Host.discover()


def test_an_entry_point_line_without_a_target_is_broken(install: Install, tmp_path: Path) -> None:
    install(GOOD)
    (tmp_path / "some_zoo-2.5.dist-info" / "entry_points.txt").write_text("[ganlm]\nguest\n")
    assert health_of(Host.discover(), "guest") == (
        "broken",
        "its line in entry_points.txt is not 'name = package.module'",
    )


def test_a_plugin_for_another_api_is_refused_before_its_hooks_run(install: Install) -> None:
    install("GANLM_PLUGIN_API = 2\n@hookimpl\ndef ganlm_components():\n    raise AssertionError")
    assert health_of(Host.discover(), "guest") == (
        "incompatible",
        "it is for plugin API 2, this is 1; install a version that fits",
    )


def test_what_a_plugin_prints_is_kept_from_the_output(install: Install, capfd: pytest.CaptureFixture[str]) -> None:
    install("import sys\nprint('hello')\nprint('hello', file=sys.stderr)\n" + GOOD)
    assert health_of(Host.discover(), "guest") == ("ok", "it printed 'hello hello' while it was loaded")
    assert capfd.readouterr() == ("", "")


def test_a_library_that_a_plugin_imports_too_early_is_told(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jax.py").touch()
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    install("import jax\n" + GOOD)
    assert health_of(Host.discover(), "guest") == (
        "ok",
        "it imports jax when it is loaded, which slows every command; let its targets do that",
    )
    monkeypatch.delitem(sys.modules, "jax", raising=False)


def test_a_hook_that_is_deprecated_is_told_and_still_called(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def ganlm_old() -> None: ...

    warning = DeprecationWarning("ganlm_old is deprecated; implement ganlm_new")
    monkeypatch.setattr(hookspecs, "ganlm_old", hookspecs.hookspec(warn_on_impl=warning)(ganlm_old), raising=False)
    install(GOOD + "\n@hookimpl\ndef ganlm_old():\n    pass\n")
    host = Host.discover()
    assert health_of(host, "guest") == ("ok", "ganlm_old is deprecated; implement ganlm_new")
    assert "good" in host.specs("loss")


HANGS = {
    "in a loop": "while True: pass",
    "asleep": "import time; time.sleep(60)",
    "in a lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "that expects failures": "while True:\n    try:\n        while True: pass\n    except Exception: pass",
    "that expects everything": "while (n := globals().get('n', 0) + 1) < 4:\n    try:\n        while True: pass\n"
    "    except BaseException: pass\nwhile True: pass",
}


@pytest.mark.parametrize("source", HANGS.values(), ids=HANGS)
def test_a_plugin_that_hangs_is_stopped_and_told(
    install: Install, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """The alarm may go off before the first line of so short a time: the place is not always known."""
    monkeypatch.setenv("GANLM_PLUGIN_TIMEOUT", "0.05")
    before = signal.getsignal(signal.SIGALRM)
    install(source)
    install("@hookimpl\ndef ganlm_components():\n" + indent(source, "    "), name="hook", distribution="hook")
    host = Host.discover()
    for name in ("guest", "hook"):
        status, reason = health_of(host, name)
        assert status == "broken"
        assert re.fullmatch(r"it took longer than 0\.05 s( \(.*\))?; GANLM_PLUGIN_TIMEOUT allows more", reason)
    assert {one.status for one in host.health if one.distribution == "ganlm"} == {"ok"}
    assert (signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM)) == ((0, 0), before)


def test_a_library_is_not_left_half_imported(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alarm while something heavy is imported, which others will need, waits; the next one does not."""
    alarm = "import signal; signal.raise_signal(signal.SIGALRM)\n"
    (tmp_path / "jax.py").write_text(f"{alarm}whole = True\n")
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    monkeypatch.setenv("GANLM_PLUGIN_TIMEOUT", "600")
    module = install(f"import jax\n{alarm}")
    assert health_of(Host.discover(), "guest") == (
        "broken",
        f"it took longer than 600 s ({place(module, 6)}); GANLM_PLUGIN_TIMEOUT allows more; it imports jax when it is "
        "loaded, which slows every command; let its targets do that",
    )
    assert sys.modules.pop("jax").whole


def test_somebody_elses_alarm_is_left_alone(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLM_PLUGIN_TIMEOUT", "0.01")
    install("import time\ntime.sleep(0.05)\n" + GOOD)
    signal.setitimer(signal.ITIMER_REAL, 6000)
    try:
        assert health_of(Host.discover(), "guest") == ("ok", "")
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_time_limit_is_a_number(install: Install, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    install(GOOD)
    monkeypatch.setenv("GANLM_PLUGIN_TIMEOUT", text)
    with pytest.raises(UsageError) as caught:
        Host.discover()
    assert str(caught.value) == (f"GANLM_PLUGIN_TIMEOUT is {text!r}; wanted a number of seconds, or 0 for no limit")


def test_a_taken_name_stays_with_the_first_and_the_second_gets_a_longer_one(install: Install) -> None:
    install(
        """
        @hookimpl
        def ganlm_components():
            yield ComponentSpec("loss", "hinge", "m:a", summary="the newcomer")
            yield ComponentSpec("loss", "mine", "m:a")
        """
    )
    host = Host.discover()
    assert health_of(host, "guest") == ("duplicate", "already taken: loss hinge (this one is some-zoo/hinge)")
    assert host.origin("loss", "hinge")[0] == "ganlm"
    assert host.spec("loss", "some-zoo/hinge").summary == "the newcomer"
    assert host.origin("loss", "mine") == ("some-zoo", "2.5")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        Host.discover(no_plugins=True).spec("loss", "hing")
    assert str(caught.value) == "there is no loss 'hing'; did you mean 'hinge'? 'ganlm list loss' shows them"


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("GANLM_DISABLE_PLUGINS", "other, guest", "GANLM_DISABLE_PLUGINS names it"),
        ("GANLM_DISABLE_PLUGINS", "all", "GANLM_DISABLE_PLUGINS is all"),
        ("GANLM_PLUGINS", "neighbour", "GANLM_PLUGINS does not name it"),
    ],
)
def test_a_plugin_can_be_disabled_by_the_environment(
    install: Install, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    install("raise AssertionError('it must not be imported')")
    install(GOOD, name="neighbour", distribution="neighbour")
    monkeypatch.setenv(variable, value)
    host = Host.discover()
    assert health_of(host, "guest") == ("disabled", reason)
    assert health_of(host, "algorithms") == ("ok", "")
    assert ("good" in host.specs("loss")) is (value != "all")


def test_no_plugins_leaves_the_built_in_ones(install: Install) -> None:
    install(GOOD)
    host = Host.discover(no_plugins=True)
    assert health_of(host, "guest") == ("disabled", "--no-plugins leaves only the built-in ones")
    assert "lstm" in host.specs("generator")


def test_a_disabled_built_in_is_the_reason_given_for_its_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLM_DISABLE_PLUGINS", "lstm")
    with pytest.raises(PluginError) as caught:
        Host.discover().spec("generator", "lstm")
    assert str(caught.value) == (
        "generator 'lstm' cannot be used: plugin 'lstm' of ganlm is disabled: GANLM_DISABLE_PLUGINS names it; "
        "'ganlm plugins' shows all of them"
    )


def test_a_plugin_that_was_asked_for_and_is_not_installed_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLM_PLUGINS", "nobody")
    assert health_of(Host.discover(), "nobody") == (
        "broken",
        "GANLM_PLUGINS names it, and no installed distribution has it",
    )


def test_strict_mode_makes_bad_health_an_error_but_not_a_disabled_plugin(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("raise ValueError('no')")
    monkeypatch.setenv("GANLM_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match=r"^plugin 'guest' of some-zoo is broken: ValueError: no \(.*, line 5\)$"):
        Host.discover()
    assert health_of(Host.discover(strict=False), "guest")[0] == "broken"
    assert health_of(Host.discover(no_plugins=True), "guest")[0] == "disabled"


def test_a_local_file_is_a_plugin_whose_targets_can_use_its_name(tmp_path: Path) -> None:
    file = tmp_path / "my-plugin.py"
    file.write_text(HEAD + GOOD)
    host = Host.discover([file])
    assert host.origin("loss", "good") == ("my-plugin.py", "")
    assert host.build("loss", "good", NoOptions()) == (NoOptions(), {})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "there is no such Python file"),
        ("raise ValueError('no')", "ValueError: no ({file}, line 1)"),
        ("GANLM_PLUGIN_API = 0", "it is for plugin API 0, this is 1; install a version that fits"),
    ],
)
def test_a_local_file_that_cannot_be_loaded_is_an_error(tmp_path: Path, source: str | None, message: str) -> None:
    file = tmp_path / "mine.py"
    if source is not None:
        file.write_text(source)
    with pytest.raises(PluginError) as caught:
        Host.discover([file])
    assert str(caught.value) == f"--plugin {file}: {message.format(file=file)}"


def test_a_local_file_goes_before_what_is_installed_and_after_what_is_built_in(
    install: Install, tmp_path: Path
) -> None:
    install(GOOD)
    file = tmp_path / "mine.py"
    file.write_text(HEAD + GOOD + '    yield ComponentSpec("loss", "hinge", f"{__name__}:target")\n')
    host = Host.discover([file])
    assert [host.origin("loss", name)[0] for name in ("good", "hinge")] == ["mine.py", "ganlm"]
    assert health_of(host, "guest") == ("duplicate", "already taken: loss good (this one is some-zoo/good)")
    assert host.origin("loss", "some-zoo/good") == ("some-zoo", "2.5")


def test_a_host_knows_the_files_that_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HEAD + GOOD)
    assert (Host.discover([file]).files, Host.discover().files) == ((str(file),), ())


def test_a_constructor_that_raises_is_named_with_its_plugin(install: Install) -> None:
    install(
        """
        from ganlm_core.errors import DataError

        def target(options, error):
            raise error

        @hookimpl
        def ganlm_components():
            yield ComponentSpec("loss", "bad", f"{__name__}:target")
        """
    )
    host = Host.discover()
    with pytest.raises(PluginError) as caught:
        host.build("loss", "bad", NoOptions(), error=ValueError("of two\nlines"))
    assert str(caught.value) == (
        "loss 'bad' of some-zoo 2.5 cannot be built: ValueError: of two lines; --debug shows where"
    )
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(DataError, match=r"^it knows better$"):
        host.build("loss", "bad", NoOptions(), error=DataError("it knows better"))


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("nowhere.at_all:Thing", "ModuleNotFoundError: No module named 'nowhere'"),
        ("ganlm_core.errors:Thing", "AttributeError: module 'ganlm_core.errors' has no attribute 'Thing'"),
    ],
)
def test_a_target_that_cannot_be_imported_names_its_plugin(install: Install, target: str, error: str) -> None:
    install(f"@hookimpl\ndef ganlm_components():\n    yield ComponentSpec('loss', 'x', '{target}')")
    with pytest.raises(PluginError) as caught:
        Host.discover().build("loss", "x", NoOptions())
    assert str(caught.value) == f"loss 'x' of some-zoo 2.5 cannot be imported from {target}: {error}"


def test_recipes_and_commands_are_named_and_sorted(install: Install, tmp_path: Path) -> None:
    for name in ("zebra", "ape"):
        (tmp_path / f"{name}.toml").touch()
    install(
        f"""
        @hookimpl
        def ganlm_recipes():
            return [{str(tmp_path / "zebra.toml")!r}, Path({str(tmp_path / "ape.toml")!r})]

        @hookimpl
        def ganlm_commands():
            return {{"dance": ("zoo:dance", "make them dance")}}
        """
    )
    host = Host.discover()
    names = list(host.recipes())
    assert names == sorted(names)
    assert host.recipes()["ape"] == tmp_path / "ape.toml"
    command = host.commands()["dance"]
    assert (command.target, command.help, str(command.origin)) == ("zoo:dance", "make them dance", "some-zoo 2.5")


def test_an_observer_that_raises_is_reported_once_and_silent_until_the_next_run(install: Install) -> None:
    install(
        """
        @hookimpl
        def ganlm_step_ended(step):
            raise ValueError(f"step {step}")
        """
    )
    module = install(
        """
        steps = []

        @hookimpl
        def ganlm_step_ended(step, metrics):
            steps.append((step, metrics))
        """,
        name="watcher",
        distribution="watcher",
    )
    host = Host.discover()
    report = "observer 'guest' failed in ganlm_step_ended and is switched off for this run: ValueError: step {}"
    assert host.notify("ganlm_step_ended", step=1, metrics={}) == [report.format(1)]
    assert host.notify("ganlm_step_ended", step=2, metrics={}) == []
    assert host.notify("ganlm_run_started", folder=Path(), config={}) == []
    assert host.notify("ganlm_step_ended", step=3, metrics={}) == [report.format(3)]
    assert [step for step, _ in sys.modules[module].steps] == [1, 2, 3]


def test_without_an_installed_ganlm_the_error_says_so() -> None:
    with pytest.raises(PluginError) as caught:
        Host().spec("generator", "lstm")
    assert str(caught.value) == (
        "generator 'lstm' cannot be found: the distribution ganlm is not installed in this Python; "
        "install it with pip, from a checkout with 'pip install -e .'"
    )
