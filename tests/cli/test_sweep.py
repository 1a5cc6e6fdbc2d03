"""``ganlm sweep``: plans from files and flags, forms of the table, resume, status, and how it ends."""

import json
from pathlib import Path

import pytest

from ganlm_core.sweep.folder import SweepFolder
from ganlm_core.sweep.job import Trained
from tests.command_line import refused
from tests.conftest import Ganlm
from tests.guests import GOOD, HEAD
from tests.sweep.runs import FLAGS, Pretended, finish, pretended

__all__ = ["pretended"]

BY_FLAGS = ["--seed", "0..1", *FLAGS]


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building every run takes seconds; tests/sweep/test_estimate.py has tests of it."""
    monkeypatch.setattr("ganlm_core.sweep.estimate.check_plan", lambda plan, host: None)


def test_flags_with_lists_are_a_plan(ganlm: Ganlm, pretended: Pretended) -> None:
    code, out, err = ganlm("sweep", *BY_FLAGS, "--folder", "s", "--jobs", 1)
    assert code == 0, err
    assert out.splitlines()[1].split() == ["runs", "distinct", "CPU", "seconds"]
    assert "all runs" in out and "50.0 ± 0.0%" in out
    assert "compare them at equal diversity: ganlm compare s" in err
    assert [entry.name for entry in SweepFolder(Path("s")).entries()] == ["seed0", "seed1"]
    assert len(pretended.words) == 2


def test_a_file_is_a_plan_and_flags_replace_its_lists(ganlm: Ganlm, pretended: Pretended) -> None:
    Path("plan.toml").write_text("[sweep]\nseed = [1, 2, 3]\nsteps = 9\n")
    code, out, _ = ganlm("sweep", "plan.toml", "--seed", "7", "--folder", "s", "--json")
    assert code == 0
    (row,) = json.loads(out)["rows"]
    assert row["runs"] == "1" and row["distinct"] == {"mean": 0.5, "sd": None, "n": 1}


@pytest.mark.parametrize(("name", "start"), [("t.csv", "name,runs,"), ("t.tex", "% needs"), ("t.md", "|  | runs |")])
def test_the_table_is_written_in_the_form_of_its_name(
    ganlm: Ganlm, pretended: Pretended, name: str, start: str
) -> None:
    code, out, err = ganlm("sweep", *BY_FLAGS, "--folder", "s", "--out", name)
    assert code == 0 and f"table: {name}" in err
    assert Path(name).read_text().startswith(start) and "all runs" in out


def test_a_file_must_tell_its_form(ganlm: Ganlm, pretended: Pretended) -> None:
    code, _, err = ganlm("sweep", *BY_FLAGS, "--folder", "s", "--out", "t.txt")
    assert code == 2 and "t.txt does not tell its form; end it in .csv, .tex, .md, .json, or add --format" in err


def test_a_run_that_failed_is_named_with_its_error_at_the_end(ganlm: Ganlm, pretended: Pretended) -> None:
    Path("plan.toml").write_text("[sweep.variants.bad]\nseed = 1\n[sweep.variants.good]\nseed = 2\n")
    code, out, err = ganlm("sweep", "plan.toml", "--folder", "s")
    assert code == 1 and "good" in out
    assert err.splitlines()[-2:] == [
        "warning: bad failed: no such thing",
        "ganlm: error: 1 of 2 runs failed (bad); their logs are in s/logs",
    ]


def test_a_sweep_is_resumed_without_its_plan(ganlm: Ganlm, pretended: Pretended) -> None:
    ganlm("sweep", *BY_FLAGS, "--folder", "s")
    code, _, err = ganlm("sweep", "--resume", "s")
    assert code == 0 and len(pretended.words) == 2, err  # both were finished
    assert refused(ganlm, "sweep", "--seed", "1", "--resume", "s").startswith(
        "--resume goes on with the plan of s; leave --seed 1 out"
    )
    assert refused(ganlm, "sweep", "--resume", "nowhere").startswith("there is no sweep at nowhere")


def test_a_sweep_is_resumed_only_with_its_plugin_files(ganlm: Ganlm, pretended: Pretended, tmp_path: Path) -> None:
    """The folder may be of another user, so the file that it names is not run unasked."""
    Path("plug.py").write_text(HEAD + GOOD)
    assert ganlm("sweep", *BY_FLAGS, "--loss", "good", "--folder", "s", "--plugin", "plug.py")[0] == 0
    Path("plug.py").write_text(f"{HEAD}{GOOD}\nfrom pathlib import Path\nPath('ran').touch()\n")
    for words in ([], ["--dry-run"]):
        code, _, err = ganlm("sweep", "--resume", "s", *words)
        assert (code, err) == (
            3,
            "ganlm: error: s was started with a plugin that is not loaded; "
            f"add --plugin {tmp_path.resolve() / 'plug.py'}\n",
        )
    assert not Path("ran").exists()
    code, _, err = ganlm("sweep", "--resume", "s", "--plugin", "plug.py")
    assert code == 0, err
    assert json.loads(Path("s/sweep.json").read_text())["plugins"] == [str(tmp_path / "plug.py")]


def test_a_stopped_sweep_is_resumed_by_the_command_that_it_prints(
    ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("plug.py").write_text(HEAD + GOOD)
    stopped = [Trained(Path("s/seed0"), "stopped", interrupted=True), Trained(Path("s/seed1"))]
    monkeypatch.setattr("ganlm_core.cli.sweep.train_all", lambda *_: stopped)
    words = (*BY_FLAGS, "--loss", "good", "--folder", "s", "--plugin", "plug.py")
    code, _, err = ganlm("sweep", *words)
    assert code == 130 and err.endswith(
        "stopped, 1 of 2 runs are not finished; go on with: ganlm sweep --resume s --plugin plug.py\n"
    )


def test_the_status_is_read_from_the_folder(ganlm: Ganlm, pretended: Pretended) -> None:
    ganlm("sweep", *BY_FLAGS, "--folder", "s")
    sweep = SweepFolder(Path("s"))
    (sweep.path / "seed1" / "bundle" / "evaluation.json").unlink()
    (sweep.path / "seed1" / "bundle").rmdir()
    assert ganlm("sweep", "--status", "s")[1].splitlines() == [
        "seed0: finished, 6 of 6 steps",
        "seed1: interrupted, 0 of 6 steps",
        "1 of 2 runs finished, 1 interrupted",
    ]
    found = json.loads(ganlm("sweep", "--status", "s", "--json", "--quiet")[1])
    assert [(each["name"], each["status"]) for each in found] == [("seed0", "finished"), ("seed1", "interrupted")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there is nothing to train; give a PLAN.toml, or lists: --recipe mle,seqgan --seed 0..4"),
        (["--sede", "1"], "there is no setting 'sede'; did you mean 'seed'? a setting is a flag"),
        (["nowhere.toml"], "nowhere.toml is missing; give a TOML file"),
        (["--seed", "0", "--steps", "5,5"], "run and run-1 are the same run (seed 0, steps 5)"),
        (["--seed", "0", "--scheduler", "here"], "'here' is no address; give tcp://HOST:PORT"),
        (
            ["--seed", "0", "--scheduler", "tls://x:1", "--tls-ca", "ca.pem"],
            "--tls-ca and --tls-cert and --tls-key must",
        ),
    ],
)
def test_impossible_requests_are_refused_before_anything_is_written(
    ganlm: Ganlm, tmp_path: Path, words: list[str], message: str
) -> None:
    assert message in refused(ganlm, "sweep", *words, "--folder", "s")
    assert not Path("s").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trials", "3", "--seed", "0"], "--trials has no effect without --search; add it, or leave --trials out"),
        (["--objective", "valid", "--seed", "0"], "--objective has no effect without --search"),
        (["--tls-ca", "ca.pem", "--seed", "0"], "--tls-ca has no effect without --scheduler"),
        (["--status", "s", "--jobs", "2"], "--jobs has no effect beside --status; leave it out"),
        (["--status", "s", "--seed", "0"], "plan has no effect beside --status; leave it out"),
        (["--status", "s", "--format", "csv"], "--status has no --format csv; leave it out, or add --json"),
        (["--resume", "s", "--folder", "t"], "--folder has no effect beside --resume; leave it out"),
        (["--resume", "s", "--threads", "2"], "--threads has no effect beside --resume; leave it out"),
        (["--seed", "0,1", "--search", "optuna", "--objective", "x", "--dry-run"], "there is no objective 'x'"),
    ],
)
def test_an_option_without_effect_is_refused(ganlm: Ganlm, tmp_path: Path, words: list[str], message: str) -> None:
    assert message in refused(ganlm, "sweep", *words)
    assert not list(Path().glob("*/sweep.json"))


def test_finished_runs_are_what_the_table_has(ganlm: Ganlm, pretended: Pretended) -> None:
    ganlm("sweep", *BY_FLAGS, "--folder", "s")
    from ganlm_core.training.run_folder import RunFolder

    sweep = SweepFolder(Path("s"))
    finish(
        RunFolder(sweep.path / "seed0"),
        sweep.config("seed0"),
        {"after": {"distinct": 0.9}, "samples": 20, "temperature": 1.0},
    )
    out = ganlm("sweep", "--resume", "s", "--format", "csv")[1]
    assert out.splitlines()[1].startswith("all runs,2,0.7,0.28284")
