"""``ganlm compare``: which runs are one method."""

from pathlib import Path

import pytest

from ganlm_core.cli.compare import group
from ganlm_core.config.make_config import make_config
from ganlm_core.errors import UsageError, WeightsError
from ganlm_core.training.run_folder import RunFolder
from tests.command_line import refused
from tests.conftest import Ganlm
from tests.sweep.runs import finish, sweep


@pytest.fixture
def runs(ganlm: Ganlm) -> dict[str, Path]:
    """Run folders that have only a configuration."""
    options = {
        "seed-0": ["--seed", 0],
        "seed-1": ["--seed", 1],
        "focal": ["--loss", "hinge"],
        "small": ["--gen.hidden-size", 8],
    }
    found = {}
    for name, given in options.items():
        found[name] = Path(name)
        found[name].mkdir()
        (found[name] / "config.toml").write_text(ganlm("run", *given, "--print-config")[1])
    return found


def test_runs_that_differ_only_in_their_seed_are_one_method(runs: dict[str, Path]) -> None:
    groups = group(list(runs.values()))
    assert [[member.path.name for member in members] for members in groups.values()] == [
        ["seed-0", "seed-1"], ["focal"], ["small"]
    ]  # fmt: skip


def test_a_run_that_is_named_twice_counts_once(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    groups = group([runs["seed-0"], runs["seed-1"], Path("./seed-0/")])
    assert [[member.path.name for member in members] for members in groups.values()] == [["seed-0", "seed-1"]]
    assert "seed-0: left out, another run has the same configuration and seed" in capsys.readouterr().err


def test_titles_say_what_differs_from_the_recipe_and_are_never_equal(runs: dict[str, Path]) -> None:
    first, focal, small = group(list(runs.values()))
    assert first == "lstm against conv by autoregressive (hidden-size 128)"
    assert focal == "lstm against conv by autoregressive with loss hinge"
    assert small == "lstm against conv by autoregressive (hidden-size 8)"


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run folder, it has no config"):
        group([tmp_path])


def test_a_run_whose_configuration_lost_a_table_is_refused(tmp_path: Path) -> None:
    run = RunFolder.make(tmp_path / "run", "name")
    run.start(make_config("lstm", "conv"))
    path = run.path / "config.toml"
    path.write_text(path.read_text().partition("[training]")[0])
    with pytest.raises(WeightsError, match=r"config\.toml has no table \[training\]"):
        group([run.path])


def test_a_page_that_exists_is_kept(ganlm: Ganlm, runs: dict[str, Path]) -> None:
    Path("compare.html").write_text("mine")
    message = "compare.html already exists; add --force to replace it, or choose another --out"
    assert ganlm("compare", runs["small"]) == (2, "", f"ganlm: error: {message}\n")
    assert Path("compare.html").read_text() == "mine"


def test_a_diversity_beside_another_place_is_refused(ganlm: Ganlm, runs: dict[str, Path]) -> None:
    message = "--diversity has no effect beside --at; leave it out"
    words = ("--at", "test_nll=2", "--quality", "bleu4", "--measures", "bleu4", "--out", "c.html", "--json")
    assert refused(ganlm, "compare", runs["small"], *words, "--diversity", "self_bleu4") == message
    assert not Path("c.html").exists()


def test_the_runs_of_a_sweep_are_named_by_what_its_plan_varies(tmp_path: Path, ganlm: Ganlm) -> None:
    found = sweep(Path("s"), seed=[1, 2], **{"gen.layers": [1, 2]})
    for entry in found.entries()[:3]:
        finish(RunFolder(found.path / entry.name), found.config(entry.name))
    groups = group([Path("s")])
    assert {title: len(runs) for title, runs in groups.items()} == {"gen.layers 1": 2, "gen.layers 2": 1}


def test_a_sweep_without_a_finished_run_is_refused(ganlm: Ganlm, tall: Path) -> None:
    sweep(Path("s"), seed=[1])
    message = f"no run of s is finished; go on with: ganlm sweep --resume s --plugin {tall}"
    assert refused(ganlm, "compare", "s", "--plugin", tall) == message
