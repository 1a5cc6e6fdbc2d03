"""The command line as a whole: help, errors, exit codes and the commands of plugins."""

import signal
import warnings
from pathlib import Path

import click
import pytest

from ganlm_core import __version__
from ganlm_core.cli import SYNONYMS, Context, run_command
from ganlm_core.plugins.commands import COMMANDS
from tests.command_line import refused, resolved
from tests.conftest import Ganlm


def test_help_names_every_command_with_its_line(ganlm: Ganlm) -> None:
    code, out, _ = ganlm("--help")
    assert code == 0
    assert "  run         train a generator against a discriminator\n" in out
    assert ganlm()[:2] == (0, out)


def test_version(ganlm: Ganlm) -> None:
    assert ganlm("--version") == (0, f"ganlm {__version__}\n", "")


def test_wrong_usage_is_one_line_with_exit_code_2(ganlm: Ganlm) -> None:
    assert refused(ganlm, "--foo") == "No such option '--foo'; 'ganlm --help' shows what it takes"
    assert refused(ganlm, "show") == "Missing argument 'NAME'; 'ganlm show --help' shows what it takes"
    assert refused(ganlm, "run", "extra").startswith("Got unexpected extra argument (extra); 'ganlm run --help'")


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["run", "mine.txt"], "--data mine.txt"),
        (["run", "lstm", "conv"], "--gen lstm"),
        (["run", "seqgan"], "--recipe seqgan"),
        (["run", "zoo:lstm.mle-grammar"], "--from zoo:lstm.mle-grammar"),
        (["sample", "zoo:lstm.mle-grammar", "20"], "-n 20"),
    ],
)
def test_the_flag_of_an_extra_argument_is_suggested(
    ganlm: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], flag: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text("a dog\n")
    told = refused(ganlm, *words)
    assert told.endswith(f"; did you mean {flag}? 'ganlm {words[0]} --help' shows what it takes"), told
    assert "did you mean" not in refused(ganlm, "run", "x" * 300)
    assert "did you mean" not in refused(ganlm, "score", "a", "b", "c", "--plugin", "nowhere.py")


@pytest.mark.parametrize(("name", "meant"), [*SYNONYMS.items(), ("smaple", "sample")])
def test_a_command_of_another_name_is_suggested(ganlm: Ganlm, name: str, meant: str) -> None:
    told = f"there is no command '{name}'; did you mean '{meant}'? 'ganlm --help' shows them"
    assert refused(ganlm, name) == told


def test_a_plugin_file_can_be_given_before_and_after_the_command(ganlm: Ganlm, tall: Path) -> None:
    for arguments in (["--plugin", tall, "list", "generator"], ["list", "generator", "--plugin", tall]):
        assert "tall" in ganlm(*arguments)[1]
    assert resolved(ganlm, "--gen", "tall", "--plugin", tall)["generator"] == {"tall": {"height": 1, "shade": True}}
    code, _, err = ganlm("--plugin", "nowhere.py", "list")
    assert (code, err) == (3, "ganlm: error: --plugin nowhere.py: there is no such Python file\n")


def test_a_plugin_adds_commands(ganlm: Ganlm, tall: Path) -> None:
    out = ganlm("--plugin", tall, "--help")[1]
    assert "  dance       make them dance\n" in out
    for words in (["--plugin", tall, "dance"], ["dance", "--plugin", tall], ["dance", f"--plugin={tall}"]):
        assert ganlm(*words) == (0, "they dance\n", "")
    code, _, err = ganlm("--plugin", tall, "lost")
    assert (code, err) == (
        3,
        "ganlm: error: command 'lost' of tall.py cannot be imported from nowhere:lost: "
        "ModuleNotFoundError: No module named 'nowhere'; --debug shows where\n",
    )


def test_a_command_with_a_taken_name_has_a_longer_one(ganlm: Ganlm, tall: Path) -> None:
    tall.write_text(tall.read_text().replace('"dance"', '"list"'))
    code, out, err = ganlm("--plugin", tall, "--help")
    assert (code, err) == (0, f"warning: --plugin {tall}: already taken: command list (this one is tall.py/list)\n")
    assert "  tall.py/list  make them dance\n" in out
    assert ganlm("--plugin", tall, "tall.py/list")[1] == "they dance\n"


def test_a_lack_of_memory_names_the_option_that_asks_for_much(ganlm: Ganlm, tmp_path: Path) -> None:
    settings = tmp_path / "long.toml"
    settings.write_text("[tokenizer.word]\nmax_length = 1000000000000\n")
    for given in (["--tokenizer.max-length", 10**12], ["--config", settings]):
        code, _, err = ganlm("run", "--corpus.size", 100, "--dry-run", *given)
        assert code == 1
        assert err.startswith("ganlm: error: there is no memory for this (")
        assert err.endswith("; lower --tokenizer.max-length\n")


def test_a_lack_of_memory_without_words_has_no_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def large() -> None:
        raise MemoryError

    large.context_class = Context
    assert run_command(large, []) == 1
    assert capsys.readouterr().err == "ganlm: error: there is no memory for this; use a machine with more\n"


def test_a_removed_folder_is_told_before_a_library_fails_in_it(
    ganlm: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert ganlm("list") == (1, "", "ganlm: error: the current folder was removed; change to another\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_interrupts_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As one that comes while a run is still being prepared."""
    number = getattr(signal, name)
    ignored = signal.signal(number, lambda *_: None)
    try:
        assert run_command(click.command()(lambda: signal.raise_signal(number)), []) == 130
    finally:
        signal.signal(number, ignored)
    assert capsys.readouterr().err.lstrip("\n") == "ganlm: error: interrupted\n"


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("interrupt", 130, "interrupted"),
        ("bug", 3, "command 'stumble' of tall.py failed: ValueError: a b; --debug shows where"),
        ("disk", 1, "cannot use x: No space left; check the path and its permissions"),
    ],
)
def test_other_failures_are_one_line_too(ganlm: Ganlm, tall: Path, how: str, code: int, message: str) -> None:
    given, out, err = ganlm("--plugin", tall, "stumble", how)
    assert (given, out, err.lstrip("\n")) == (code, "", f"ganlm: error: {message}\n")


def test_an_empty_path_is_refused(ganlm: Ganlm) -> None:
    for given in (["run", "--out", ""], ["run", "--resume", ""], ["sweep", "--recipe", "mle", "--folder", ""]):
        code, _, err = ganlm(*given, "--dry-run")
        assert code == 2 and "the path is empty; give a file or a folder" in err, given


def test_a_group_names_its_commands(ganlm: Ganlm) -> None:
    code, _, err = ganlm("weights")
    assert code == 2
    assert err.startswith("ganlm: error: a command is missing; choose one of ") and "export" in err


def test_a_path_that_is_too_long_is_named(ganlm: Ganlm) -> None:
    code, _, err = ganlm("sample", "x" * 300)
    assert code == 1
    assert err.startswith("ganlm: error: cannot use xxx") and err.endswith("check the path and its permissions\n")


def test_debug_shows_where(ganlm: Ganlm, tall: Path) -> None:
    code, _, err = ganlm("--plugin", tall, "stumble", "bug", "--debug")
    assert code == 3
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("ganlm: error: command 'stumble' of tall.py failed: ValueError: a b; --debug shows where\n")


def test_the_commands_are_listed_also_after_ganlm_list(ganlm: Ganlm) -> None:
    """Its module is then the attribute ``list`` of the package."""
    from ganlm_core.cli import ganlm as group

    assert ganlm("list", "loss")[0] == 0
    assert COMMANDS.keys() <= {*group.list_commands(click.Context(group))}


def test_every_command_has_a_line_of_help_for_each_option() -> None:
    from ganlm_core.cli import ganlm

    context = click.Context(ganlm, info_name="ganlm")
    for name in COMMANDS:
        command = ganlm.get_command(context, name)
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name} {option.name}"


WITHOUT_JSON = {"completion", "help", "serve"}
"""Commands whose result is a script, a help text or a server."""


def test_every_command_that_prints_a_result_prints_json() -> None:
    from ganlm_core.cli import ganlm

    context = click.Context(ganlm, info_name="ganlm")
    for name in COMMANDS.keys() - WITHOUT_JSON:
        command = ganlm.get_command(context, name)
        assert command is not None
        for each in getattr(command, "commands", {}).values() or [command]:
            assert "--json" in [flag for option in each.params for flag in option.opts], f"{name} {each.name}"


def test_a_warning_of_a_library_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def careless() -> None:
        warnings.warn("Glyph \x1b[31m\nis missing", stacklevel=1)

    shown = warnings.showwarning
    assert run_command(careless, []) == 0
    assert capsys.readouterr().err == "warning: Glyph \\x1b[31m is missing\n"
    assert warnings.showwarning is shown
