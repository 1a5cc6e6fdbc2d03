"""The host: good plugins, colliding ones, disabled ones, and observers."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from ganlm_core.components import NoOptions
from ganlm_core.errors import DataError, PluginError, UnknownName
from ganlm_core.plugins.host import Host
from tests.guests import GOOD, HEAD, Install, health_of

DRAWING = """
@hookimpl
def ganlm_pictures(samples):
    return {}
"""


def test_the_built_in_plugins_come_first_and_are_ok(install: Install) -> None:
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
        "molecules",
        "tensorboard",
    }
    first = health[: len(built_in)]
    assert {one.name for one in first} == built_in
    assert {(one.distribution, one.status) for one in first} == {("ganlm", "ok")}


def test_a_good_plugin_is_found_with_its_origin_and_its_component_built(install: Install) -> None:
    install(GOOD)
    host = Host.discover()
    (health,) = [health for health in host.health if health.name == "guest"]
    assert (health.distribution, health.version, health.status, health.reason) == ("some-zoo", "2.5", "ok", "")
    assert health.components == ("loss good",)
    assert health.seconds > 0
    assert host.origin("loss", "good") == ("some-zoo", "2.5")
    assert host.build("loss", "good", NoOptions(), shape=3) == (NoOptions(), {"shape": 3})


def test_a_taken_name_stays_with_the_first_plugin_and_the_second_gets_a_longer_one(install: Install) -> None:
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
    assert host.origin("loss", "hinge").built_in and not host.origin("loss", "mine").built_in
    assert host.spec("loss", "some-zoo/hinge").summary == "the newcomer"
    assert host.origin("loss", "mine") == ("some-zoo", "2.5")


def test_a_third_file_of_one_name_is_refused_with_both_that_have_its_names(tmp_path: Path) -> None:
    files = [tmp_path / folder / "plug.py" for folder in ("a", "b", "c")]
    for file in files:
        file.parent.mkdir()
        file.write_text(HEAD + GOOD)
    one, other, third = files
    host = Host.discover([one, other])
    targets = [spec.target for health in host.health if health.name == "plug" for spec in host.specs_of(health)]
    assert targets == [host.spec("loss", name).target for name in ("good", "plug.py/good")] and len(set(targets)) == 2
    with pytest.raises(PluginError) as caught:
        Host.discover(files)
    assert str(caught.value) == (
        f"--plugin {third}: loss good is taken by --plugin {one}, and loss plug.py/good by --plugin {other}; "
        "give this one another name"
    )


def test_a_second_newcomer_of_one_distribution_is_broken_and_registers_nothing(
    install: Install, tmp_path: Path
) -> None:
    source = """
        @hookimpl
        def ganlm_components():
            yield ComponentSpec("loss", "{}", "m:a", summary="of {}")
            yield ComponentSpec("loss", "hinge", "m:a", summary="of {}")
        """
    install(source.replace("{}", "first"), name="first", distribution="some-zoo")
    points = tmp_path / "some_zoo-2.5.dist-info" / "entry_points.txt"
    second = install(source.replace("{}", "second"), name="second", distribution="other")
    shutil.rmtree(tmp_path / "other-2.5.dist-info")
    points.write_text(f"{points.read_text()}second = {second}\n")
    host = Host.discover()
    assert health_of(host, "first") == ("duplicate", "already taken: loss hinge (this one is some-zoo/hinge)")
    assert health_of(host, "second") == (
        "broken",
        "loss hinge is taken by plugin 'algorithms' of ganlm, and loss some-zoo/hinge by plugin 'first' of some-zoo; "
        "give this one another name",
    )
    assert host.spec("loss", "some-zoo/hinge").summary == "of first"
    (health,) = [health for health in host.health if health.name == "second"]
    assert "second" not in host.specs("loss") and host.specs_of(health) == ()


def test_a_file_that_is_given_twice_is_one_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(HEAD + GOOD)
    monkeypatch.chdir(tmp_path)
    assert health_of(Host.discover(["mine.py", "./mine.py", tmp_path / "mine.py"]), "mine") == ("ok", "")


def test_an_unknown_name_gets_the_nearest_as_a_suggestion() -> None:
    with pytest.raises(UnknownName) as caught:
        Host.discover(no_plugins=True).spec("loss", "hing")
    assert str(caught.value) == "there is no loss 'hing'; did you mean 'hinge'? 'ganlm list loss' shows them"


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


def test_a_requested_plugin_that_is_not_installed_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_local_file_comes_before_installed_plugins_and_after_built_in_ones(install: Install, tmp_path: Path) -> None:
    install(GOOD)
    file = tmp_path / "mine.py"
    file.write_text(HEAD + GOOD + '    yield ComponentSpec("loss", "hinge", f"{__name__}:target")\n')
    host = Host.discover([file])
    assert [host.origin("loss", name)[0] for name in ("good", "hinge")] == ["mine.py", "ganlm"]
    assert health_of(host, "guest") == ("duplicate", "already taken: loss good (this one is some-zoo/good)")
    assert host.origin("loss", "some-zoo/good") == ("some-zoo", "2.5")


def test_a_host_knows_its_files(tmp_path: Path) -> None:
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
    for error in (SystemExit(0), GeneratorExit(), BaseException()):
        with pytest.raises(PluginError, match=rf"^loss 'bad' of some-zoo 2\.5 cannot be built: {type(error).__name__}"):
            host.build("loss", "bad", NoOptions(), error=error)
    with pytest.raises(KeyboardInterrupt):
        host.build("loss", "bad", NoOptions(), error=KeyboardInterrupt())


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
            return {{"dance": ("zoo:dance", "make them dance"), "run": ("zoo:run", "make them run")}}
        """
    )
    host = Host.discover()
    assert health_of(host, "guest") == ("duplicate", "already taken: command run (this one is some-zoo/run)")
    assert list(host.commands()) == ["dance", "some-zoo/run"]
    names = list(host.recipes())
    assert names == sorted(names)
    assert host.recipes()["ape"] == tmp_path / "ape.toml"
    command = host.commands()["dance"]
    assert (command.target, command.help, str(command.origin)) == ("zoo:dance", "make them dance", "some-zoo 2.5")


def test_an_observer_that_raises_is_reported_once_and_off_until_the_next_run(install: Install) -> None:
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


def test_observers_get_copies_and_cannot_change_what_a_run_has(install: Install) -> None:
    for name in ("one", "two"):
        install(
            """
            @hookimpl
            def ganlm_evaluated(evaluation, samples):
                assert evaluation == {"a": {"b": 1}} and samples == ["x"]
                evaluation["a"].clear()
                samples.clear()
            """,
            name=name,
            distribution=name,
        )
    evaluation, samples = {"a": {"b": 1}}, ["x"]
    host = Host.discover()
    assert host.notify("ganlm_evaluated", step=1, evaluation=evaluation, samples=samples, final=False) == []
    assert (evaluation, samples) == ({"a": {"b": 1}}, ["x"])


def test_an_observer_that_changes_the_process_is_switched_off(install: Install, tmp_path: Path) -> None:
    install(
        f"""
        @hookimpl
        def ganlm_step_ended():
            import os, torch
            os.chdir({str(tmp_path)!r})
            torch.set_grad_enabled(False)
        """
    )
    host, before = Host.discover(), Path.cwd()
    assert host.notify("ganlm_step_ended", step=1, metrics={}) == [
        "observer 'guest' failed in ganlm_step_ended and is switched off for this run: "
        "it changes the working folder and torch's grad mode; leave the process as it is"
    ]
    assert (Path.cwd(), torch.is_grad_enabled()) == (before, True)


def test_without_an_installed_ganlm_the_error_says_so() -> None:
    with pytest.raises(PluginError) as caught:
        Host().spec("generator", "lstm")
    assert str(caught.value) == (
        "generator 'lstm' cannot be found: the distribution ganlm is not installed in this Python; "
        "install it with pip, from a checkout with 'pip install -e .'"
    )


def test_pictures_come_from_all_plugins_and_a_failure_is_told(install: Install) -> None:
    install(DRAWING.format("{'Good': f'<svg>{len(samples)}</svg>'}"), name="drawing", distribution="drawing")
    install(DRAWING.format("1 / 0"), name="failing", distribution="failing")
    for name, pictures in {"lists": "['a']", "numbers": "{3: '<svg>'}", "scripts": "{'x': '<script>'}"}.items():
        install(DRAWING.format(pictures), name=name, distribution=name)
    found = Host.discover().pictures({"tokenizer": {"word": {}}}, ["a", "b"])
    assert found == {
        "Good": "<svg>2</svg>",
        "plugin 'failing' cannot draw: ZeroDivisionError: division by zero": "",
        "plugin 'lists' cannot draw: it gave a value of type list; return a dict: title -> <svg> element": "",
        "plugin 'numbers' cannot draw: picture 3 is not a title with a text that begins with <svg": "",
        "plugin 'scripts' cannot draw: picture 'x' is not a title with a text that begins with <svg": "",
    }
