"""The configuration that ``ganlm run`` resolves, and what it refuses before it trains."""

import json
import tomllib
from pathlib import Path

import pytest

from tests.command_line import refused, resolved
from tests.conftest import Ganlm


def test_help_says_which_recipe_is_the_default(ganlm: Ganlm) -> None:
    told = "[default: (the generator's: one-shot if it writes all positions at once, else autoregressive)]"
    assert told in " ".join(ganlm("run", "--help")[1].split())
    assert [resolved(ganlm, "--gen", name)["recipe"] for name in ("mlp", "lstm")] == ["one-shot", "autoregressive"]


def test_help_of_run_has_the_options_of_what_is_chosen(ganlm: Ganlm, tall: Path) -> None:
    out = ganlm("run", "--help")[1]
    assert "Options of generator lstm:\n" in out
    assert "Options of discriminator conv:\n" in out
    assert "--gen.hidden-size INT" in out
    assert "--gen-optimizer.lr FLOAT" in out
    out = ganlm("run", "--gen", "tall", "--plugin", tall, "--help")[1]
    assert "Options of generator tall:\n" in out
    assert "--gen.shade / --gen.no-shade" in out
    assert "--gen.hidden-size" not in out


def test_every_optimiser_has_flags(ganlm: Ganlm) -> None:
    """The optimiser of a warm-up has its place in the file as its prefix."""
    flag = "--optimizer.generator_warmup.lr"
    optimizers = resolved(ganlm, "--gen", "lstm", flag, 0.25, "--gen-optimizer.lr", 0.5)["optimizer"]
    assert (optimizers["generator_warmup"]["adam"]["lr"], optimizers["generator"]["adam"]["lr"]) == (0.25, 0.5)
    assert f"{flag} FLOAT" in ganlm("run", "--gen", "lstm", "--help")[1]
    told = "--gen-optimizer is for the steps after the warm-up; --optimizer.generator_warmup is for the warm-up"
    for given, seen in ([["--gen-optimizer.lr", 0.5], True], [["--gen-optimizer.lr", 0.5, flag, 0.25], False]):
        assert (told in ganlm("run", "--gen", "lstm", *given, "--dry-run", "--corpus.size", 300)[2]) is seen
    assert refused(ganlm, "run", "--gen", "mlp", flag, 0.25) == (
        "there is no optimiser 'generator_warmup' in this run; did you mean 'generator'? "
        "it has generator, discriminator"
    )


def test_flags_reach_every_part_of_the_configuration(ganlm: Ganlm, tall: Path) -> None:
    tables = resolved(
        ganlm, "--plugin", tall, "--gen", "tall", "--gen.height", 3, "--gen.no-shade", "--disc", "mlp",
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


def test_a_misspelt_variable_is_told(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GANLM_STEPSS", "GANLM_GEN_HIDDEN", "GANLM_SEED", "GANLM_TENSORBOARD", "GANLM_PLUGINS"):
        monkeypatch.setenv(name, "7")
    code, _, err = ganlm("run", "--gen", "lstm", "--print-config")
    assert (code, err.splitlines()) == (
        0,
        [
            "GANLM_GEN_HIDDEN has no effect: no option of this run reads it; did you mean 'GANLM_GEN_HIDDEN_SIZE'?",
            "GANLM_STEPSS has no effect: no option of this run reads it; did you mean 'GANLM_STEPS'?",
        ],
    )


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
            "--corpus.size is not an option of corpus 'file'; it belongs to 'grammar' and 'molecules' and 'oracle' and "
            "'passwords': choose it with --data grammar",
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
        (
            "--clip nan",
            "Invalid value for '--clip': 'nan' is not a finite number; 'ganlm run --help' shows what it takes",
        ),
        ("--stepz 3", "No such option '--stepz'"),
        (
            "--data gramar",
            "there is no corpus 'gramar'; did you mean 'grammar'? the corpora are file, grammar, molecules, oracle, "
            "passwords, and there is no such file",
        ),
        (
            "--recipe zzzzzzzz",
            "there is no recipe 'zzzzzzzz'; 'ganlm recipes list' shows them; --config takes a file",
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
        f"--resume {run}: the run has another configuration (generator: transformer -> lstm); "
        "resume it without these options, or start a new run"
    )


def test_a_resumed_run_stays_where_it_is(ganlm: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where new runs go, by the environment, says nothing of an old one."""
    run = tmp_path / "run"
    run.mkdir()
    config = ganlm("run", "--print-config")[1]
    (run / "config.toml").write_text(config)
    assert refused(ganlm, "run", "--resume", run, "--out", "other") == (
        f"--resume {run}: the run continues in its own folder, not in --out other; "
        "resume it without --out, or start a new run"
    )
    monkeypatch.setenv("GANLM_OUT", "other")
    assert ganlm("run", "--resume", run, "--print-config") == (0, config, "")
