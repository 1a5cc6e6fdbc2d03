"""The command line through its real entry point: what it prints, word for word, and its exit codes."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from ganlm_core import __version__
from ganlm_core.system.threads import BRIEFLY
from tests.conftest import Ganlm

PLUGIN = """
import click
from dataclasses import dataclass
from ganlm_core.components import ComponentSpec, Options, option
from ganlm_core.hookspecs import hookimpl

class TallOptions(Options):
    height: int = option(1, "how tall", min=1)
    shade: bool = option(True, "whether it gives shade")

@hookimpl
def ganlm_components():
    yield ComponentSpec("generator", "tall", "m:a", TallOptions, "as tall as you like", "Tall 1999")

@hookimpl
def ganlm_commands():
    return {
        "dance": (f"{__name__}:dance", "make them dance"),
        "list": (f"{__name__}:dance", "a taken name"),
        "stumble": (f"{__name__}:stumble", "fail"),
        "lost": ("nowhere:lost", "cannot be imported"),
    }

@click.command()
def dance():
    click.echo("they dance")

@click.command()
@click.argument("how")
def stumble(how):
    raise {"interrupt": KeyboardInterrupt(), "bug": ValueError("a\\nb"), "disk": OSError(28, "No space left", "x")}[how]
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    file = tmp_path / "tall.py"
    file.write_text(PLUGIN)
    return file


def resolved(ganlm: Ganlm, *arguments: object) -> dict[str, Any]:
    """The configuration that ``ganlm run`` resolves."""
    code, out, err = ganlm("run", *arguments, "--print-config")
    assert (code, err) == (0, "")
    return tomllib.loads(out)


def refused(ganlm: Ganlm, *arguments: object) -> str:
    """The one line on stderr of a call that is refused with exit code 2."""
    code, out, err = ganlm(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("ganlm: error: ")
    assert err.count("\n") == 1
    return err.removeprefix("ganlm: error: ").rstrip("\n")


def modules_imported_by(*arguments: str) -> set[str]:
    """What a process of its own imports to carry out a command that succeeds and prints something."""
    program = (
        "import sys\nbefore = set(sys.modules)\nfrom ganlm_core.cli import main\ncode = main(sys.argv[1:])\n"
        "print(*sorted(sys.modules.keys() - before), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout
    (names,) = done.stderr.splitlines()
    return set(names.split())


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list"], ["plugins"], ["show", "lstm"], ["recipes", "list"], ["recipes", "validate"],
     ["run", "--help"], ["run", "--gen", "transformer", "--print-config"], ["sample", "--help"],
     ["weights", "--help"], ["matrix", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_names_and_help_never_import_torch(arguments: list[str]) -> None:
    assert not modules_imported_by(*arguments) & {"torch", "numpy", "tokenizers", "safetensors", "rich", "jinja2"}


SLOW_TO_IMPORT = {
    "asyncio", "concurrent.futures", "difflib", "email", "hashlib", "http", "importlib.metadata", "json", "logging",
    "multiprocessing", "random", "socket", "subprocess", "tempfile", "traceback", "unittest", "xml", "zipfile",
}  # fmt: skip
"""Of the standard library: a few milliseconds each, of the hundred that click, pluggy and our own modules take."""


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], SLOW_TO_IMPORT | {"tomllib", "ganlm_core.config.run_config", "ganlm_core.config.options"}),
        (["plugins"], SLOW_TO_IMPORT | {"tomllib", "ganlm_core.config.run_config", "ganlm_core.config.options"}),
        (["list"], SLOW_TO_IMPORT - {"json"} | {"tomllib"}),  # the trained pairs say their scores in JSON
        (["run", "--help"], SLOW_TO_IMPORT),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_names_and_help_import_little(arguments: list[str], unwanted: set[str]) -> None:
    assert not modules_imported_by(*arguments) & unwanted


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "ganlm_core", "lst"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ganlm: error: there is no command 'lst'; did you mean 'list'? 'ganlm --help' shows them\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "ganlm_core", "list"], stdout=pipe, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "")


def test_help_names_every_command_with_its_line(ganlm: Ganlm) -> None:
    code, out, _ = ganlm("--help")
    assert code == 0
    assert "  run      train a generator against a discriminator\n" in out
    assert ganlm()[:2] == (0, out)


def test_version(ganlm: Ganlm) -> None:
    assert ganlm("--version") == (0, f"ganlm {__version__}\n", "")


def test_wrong_usage_is_one_line_with_exit_code_2(ganlm: Ganlm) -> None:
    assert refused(ganlm, "--foo") == "No such option '--foo'; 'ganlm --help' shows what it takes"
    assert refused(ganlm, "show") == "Missing argument 'NAME'; 'ganlm show --help' shows what it takes"
    assert refused(ganlm, "run", "extra").startswith("Got unexpected extra argument (extra); 'ganlm run --help'")


def test_list_is_a_table_with_a_source_for_each_network(ganlm: Ganlm) -> None:
    code, out, _ = ganlm("list", "generator")
    header, *rows = out.splitlines()
    assert (code, header.split()) == (0, ["kind", "name", "summary", "source"])
    assert {row.split()[1] for row in rows} == {
        "lstm",
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


def test_show_an_optimiser_and_a_recipe(ganlm: Ganlm) -> None:
    assert "--gen-optimizer.momentum --disc-optimizer.momentum" in ganlm("show", "sgd")[1]
    assert "\ntraining.steps " in ganlm("show", "autoregressive")[1]


def test_show_of_an_unknown_name(ganlm: Ganlm) -> None:
    assert refused(ganlm, "show", "lstmm") == (
        "there is no component or recipe 'lstmm'; did you mean 'lstm'? 'ganlm list' and 'ganlm recipes list' show them"
    )


def test_recipes_are_listed_shown_copied_and_validated(ganlm: Ganlm, tmp_path: Path) -> None:
    assert {"autoregressive", "one-shot"} <= {one["name"] for one in json.loads(ganlm("recipes", "list", "--json")[1])}
    shown = ganlm("recipes", "show", "one-shot")[1]
    assert tomllib.loads(shown) == json.loads(ganlm("recipes", "show", "one-shot", "--json")[1])
    code, out, err = ganlm("recipes", "copy", "one-shot")
    assert (code, out, err) == (0, "", "one-shot.toml: change it and run it with 'ganlm run --config one-shot.toml'\n")
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


def test_plugins_shows_every_plugin_in_strict_mode_too(
    ganlm: Ganlm, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLM_PLUGINS", "nobody")
    monkeypatch.setenv("GANLM_STRICT_PLUGINS", "1")
    code, out, err = ganlm("plugins", "--plugin", plugin)
    assert (code, err) == (0, "")
    assert "nobody  " in out
    assert "broken  " in out
    health = json.loads(ganlm("plugins", "list", "--json", "--plugin", plugin)[1])
    assert [(one["name"], one["status"]) for one in health[-2:]] == [("tall", "ok"), ("nobody", "broken")]
    code, _, err = ganlm("list")
    assert (code, err) == (
        3,
        "ganlm: error: plugin 'nobody' is broken: GANLM_PLUGINS names it, and no installed distribution has it\n",
    )


def test_a_plugin_file_can_be_given_before_and_after_the_command(ganlm: Ganlm, plugin: Path) -> None:
    for arguments in (["--plugin", plugin, "list", "generator"], ["list", "generator", "--plugin", plugin]):
        assert "tall" in ganlm(*arguments)[1]
    assert resolved(ganlm, "--gen", "tall", "--plugin", plugin)["generator"] == {"tall": {"height": 1, "shade": True}}
    code, _, err = ganlm("--plugin", "nowhere.py", "list")
    assert (code, err) == (3, "ganlm: error: --plugin nowhere.py: there is no such Python file\n")


def test_a_plugin_adds_commands_but_takes_no_name(ganlm: Ganlm, plugin: Path) -> None:
    out = ganlm("--plugin", plugin, "--help")[1]
    assert "  dance         make them dance\n" in out
    assert "  tall.py/list  a taken name\n" in out
    assert ganlm("--plugin", plugin, "dance") == (0, "they dance\n", "")
    code, _, err = ganlm("--plugin", plugin, "lost")
    assert (code, err) == (
        3,
        "ganlm: error: command 'lost' of tall.py cannot be imported from nowhere:lost: "
        "ModuleNotFoundError: No module named 'nowhere'\n",
    )


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("interrupt", 130, "interrupted"),
        ("bug", 1, "unexpected ValueError: a b; --debug shows where"),
        ("disk", 1, "[Errno 28] No space left: 'x'"),
    ],
)
def test_other_failures_are_one_line_too(ganlm: Ganlm, plugin: Path, how: str, code: int, message: str) -> None:
    given, out, err = ganlm("--plugin", plugin, "stumble", how)
    assert (given, out, err.lstrip("\n")) == (code, "", f"ganlm: error: {message}\n")


def test_debug_shows_where(ganlm: Ganlm, plugin: Path) -> None:
    code, _, err = ganlm("--plugin", plugin, "stumble", "bug", "--debug")
    assert code == 1
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("ganlm: error: unexpected ValueError: a b\n")


def test_help_of_run_has_the_options_of_what_is_chosen(ganlm: Ganlm, plugin: Path) -> None:
    out = ganlm("run", "--help")[1]
    assert "Options of generator lstm:\n" in out
    assert "Options of discriminator conv:\n" in out
    assert "--gen.hidden-size INT" in out
    assert "--gen-optimizer.lr FLOAT" in out
    out = ganlm("run", "--gen", "tall", "--plugin", plugin, "--help")[1]
    assert "Options of generator tall:\n" in out
    assert "--gen.shade / --gen.no-shade" in out
    assert "--gen.hidden-size" not in out


def test_flags_reach_every_part_of_the_configuration(ganlm: Ganlm, plugin: Path) -> None:
    tables = resolved(
        ganlm, "--plugin", plugin, "--gen", "tall", "--gen.height", 3, "--gen.no-shade", "--disc", "mlp",
        "--loss", "hinge",
        "--data", "oracle", "--corpus.length", 7, "--tokenizer", "char", "--tokenizer.vocabulary", 99, "--steps", 11,
        "--batch-size", 5, "--no-prior", "--gen-optimizer", "sgd", "--gen-optimizer.momentum", 0.5,
        "--disc-optimizer.lr", 0.25, "--penalty", "r1", "--penalty.weight", 2,
    )  # fmt: skip
    assert tables["generator"] == {"tall": {"height": 3, "shade": False}}
    assert tables["corpus"]["oracle"]["length"] == 7
    assert tables["tokenizer"]["char"]["vocabulary"] == 99
    assert (tables["training"]["steps"], tables["training"]["batch_size"], tables["training"]["prior"]) == (
        11,
        5,
        False,
    )
    assert tables["optimizer"]["generator"]["sgd"]["momentum"] == 0.5
    assert tables["optimizer"]["discriminator"]["adam"]["lr"] == 0.25
    assert tables["penalty"]["r1"]["weight"] == 2
    assert (list(tables["penalty"]), list(tables["loss"])) == (["r1"], ["hinge"])


def test_a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_recipe(
    ganlm: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tomllib.loads(ganlm("recipes", "show", "one-shot")[1])["training"]
    (tmp_path / "mine.toml").write_text("[training]\nsteps = 1\nseed = 2\nlog_every = 3\n")
    monkeypatch.setenv("GANLM_STEPS", "10")
    monkeypatch.setenv("GANLM_SEED", "20")
    monkeypatch.setenv("GANLM_GEN", "mlp")
    monkeypatch.setenv("GANLM_GEN_HIDDEN_SIZE", "12")
    tables = resolved(ganlm, "--config", "mine.toml", "--steps", 100)
    training = tables["training"]
    assert (training["steps"], training["seed"], training["log_every"]) == (100, 20, 3)
    assert training["ema"] == recipe["ema"]
    assert (tables["recipe"], tables["generator"]["mlp"]["hidden_size"]) == ("one-shot", 12)
    assert list(resolved(ganlm, "--gen", "lstm")["generator"]) == ["lstm"]


def test_a_recipe_is_chosen_by_name(ganlm: Ganlm) -> None:
    assert resolved(ganlm, "--gen", "lstm", "--recipe", "one-shot")["recipe"] == "one-shot"


def test_the_printed_configuration_runs_again_as_it_is(ganlm: Ganlm, tmp_path: Path) -> None:
    first = resolved(ganlm, "--gen", "conv", "--disc", "transformer", "--gen.hidden-size", 8, "--disc-optimizer", "sgd")
    (tmp_path / "config.toml").write_text(ganlm("run", "--gen", "conv", "--disc", "transformer", "--gen.hidden-size", 8,
                                                "--disc-optimizer", "sgd", "--print-config")[1])  # fmt: skip
    assert resolved(ganlm, "--config", "config.toml") == first
    assert json.loads(ganlm("run", "--config", "config.toml", "--print-config", "--json")[1]) == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--gen lsmt", "there is no generator 'lsmt'; did you mean 'lstm'? 'ganlm list generator' shows them"),
        (
            "--gen.heads 3",
            "--gen.heads is not an option of generator 'lstm'; it belongs to 'relational-memory' and "
            "'transformer': choose it with --gen relational-memory",
        ),
        (
            "--data my.txt --corpus.size 3",
            "--corpus.size is not an option of corpus 'file'; it belongs to 'grammar' and 'oracle' and 'passwords': "
            "choose it with --data grammar",
        ),
        (
            "--gen.hiden-size 3",
            "there is no generator 'lstm' option 'hiden-size'; did you mean 'hidden-size'? it takes ",
        ),
        (
            "--gen.hidden-size",
            "Option '--gen.hidden-size' requires an argument",
        ),
        (
            "--gen.hidden-size 0",
            "Invalid value for '--gen.hidden-size': 0 is not in the range x>=1; 'ganlm run --help' shows what it takes",
        ),
        ("--clip nan", "training: clip is nan; wanted a finite number"),
        ("--stepz 3", "No such option '--stepz'"),
        (
            "--data gramar",
            "there is no corpus 'gramar'; did you mean 'grammar'? the corpora are file, grammar, oracle, passwords, "
            "and there is no such file",
        ),
        (
            "--recipe nothing",
            "there is no recipe 'nothing'; 'ganlm recipes list' shows them; --config takes a file",
        ),
        ("--config none.toml", "none.toml is missing; give a TOML file"),
        ("--resume runs/x", "there is no run at runs/x; give the folder that 'ganlm run' printed"),
    ],
)
def test_run_refuses_what_it_does_not_know(ganlm: Ganlm, arguments: str, message: str) -> None:
    assert refused(ganlm, "run", *arguments.split()).startswith(message)


def test_an_invalid_value_in_the_environment_names_its_option(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLM_STEPS", "many")
    assert refused(ganlm, "run", "--print-config").startswith(
        "Invalid value for '--steps': 'many' is not a valid integer;"
    )


def test_a_run_is_resumed_with_its_own_configuration_or_not_at_all(ganlm: Ganlm, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    config = ganlm("run", "--gen", "transformer", "--gen.heads", 2, "--steps", 9, "--print-config")[1]
    (run / "config.toml").write_text(config)
    assert ganlm("run", "--resume", run, "--print-config") == (0, config, "")
    assert ganlm("run", "--resume", run, "--gen.heads", 2, "--print-config") == (0, config, "")
    assert refused(ganlm, "run", "--resume", run, "--gen", "lstm", "--steps", 10) == (
        f"--resume {run}: the run has another configuration (generator: transformer -> lstm, training.steps: 9 -> 10); "
        "resume it without these options, or start a new run"
    )


def test_a_resumed_run_stays_where_it_is(ganlm: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where new runs go, by the environment, says nothing of an old one."""
    run = tmp_path / "run"
    run.mkdir()
    config = ganlm("run", "--print-config")[1]
    (run / "config.toml").write_text(config)
    assert refused(ganlm, "run", "--resume", run, "--out", "other") == (
        f"--resume {run}: the run goes on in its own folder, not in --out other; "
        "resume it without --out, or start a new run"
    )
    monkeypatch.setenv("GANLM_OUT", "other")
    assert ganlm("run", "--resume", run, "--print-config") == (0, config, "")


@pytest.mark.parametrize(
    ("given", "flag", "instead"), [(["--gen", "lstm"], "--gen", "--gens"), (["--disc=conv"], "--disc", "--discs")]
)
def test_the_matrix_trains_no_pair_under_the_name_of_another(
    ganlm: Ganlm, tmp_path: Path, given: list[str], flag: str, instead: str
) -> None:
    """The last --gen of a line wins, so that every row would have been of one generator."""
    message = f"ganlm: error: {flag} is chosen anew for each pair; name those to take with {instead}\n"
    assert ganlm("matrix", "--steps", 1, *given) == (2, "", message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_the_matrix_takes_no_run_of_other_options_for_the_one_asked_for(
    ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Nor one of options for the defaults; and it says so before it trains anything."""
    started: list[object] = []
    monkeypatch.setattr("ganlm_core.cli.sweep.subprocess.run", started.append)
    run = Path("runs/lstm-conv")
    run.mkdir(parents=True)
    chosen = ["--gen", "lstm", "--disc", "conv", "--steps", 4]
    (run / "config.toml").write_text(ganlm("run", *chosen, "--print-config")[1])
    if state == "finished":
        (run / "bundle").mkdir()
    command = ["matrix", "--gens", "mlp,lstm", "--discs", "conv", "--out", "runs"]
    for options, changes in (
        (["--steps", 9, "--seed", 5], "training.steps: 4 -> 9, training.seed: 0 -> 5"),
        (["--steps", 4, "--gen.layers", 2], "generator.lstm.layers: 1 -> 2"),
        ([], "training.steps: 4 -> 3000"),
    ):
        assert refused(ganlm, *command, *options) == (
            f"the run in runs/lstm-conv has another configuration ({changes}); "
            "choose another --out, or the options that it was started with"
        )
    assert started == []


def test_every_command_has_a_line_of_help_for_each_option() -> None:
    from ganlm_core.cli import COMMANDS, ganlm

    context = click.Context(ganlm, info_name="ganlm")
    for name in COMMANDS:
        command = ganlm.get_command(context, name)
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name} {option.name}"


@pytest.mark.skipif(sys.platform != "linux", reason="how the OpenMP of another system waits is not shown by it")
@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ({}, ("PASSIVE", "2000")),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, ("ACTIVE", "30000000000")),
        ({"GOMP_SPINCOUNT": "7"}, ("PASSIVE", "7")),
    ],
)
def test_threads_wait_briefly_unless_the_user_says_otherwise(said: dict[str, str], understood: tuple[str, str]) -> None:
    """As the library of torch's threads understood it."""
    environment = {name: value for name, value in os.environ.items() if name not in BRIEFLY}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE"} | said
    command = [sys.executable, "-m", "ganlm_core", "--no-plugins", "plugins", "doctor"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    policy, spins = understood
    assert f"OMP_WAIT_POLICY = '{policy}'" in told
    assert f"GOMP_SPINCOUNT = '{spins}'" in told
