"""The folder of a sweep: what it keeps, and the runs that it refuses."""

import json
from pathlib import Path

import pytest

from ganlm_core.errors import UsageError, WeightsError
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep.folder import SWEEP, SweepFolder
from tests.sweep.runs import sweep, tiny_plan


def test_a_plan_is_read_back(tmp_path: Path) -> None:
    sweep(tmp_path / "s", seed=[1, 2], threads=2)
    found = SweepFolder.open(tmp_path / "s").plan(default_host())
    assert found.runs == tiny_plan(seed=[1, 2]).runs and found.threads == 2
    first, _ = SweepFolder(tmp_path / "s").jobs()
    assert first.threads == 2 and first.config.read_text() == found.runs[0].config.to_toml()


def test_runs_of_another_plan_stay(tmp_path: Path) -> None:
    sweep(tmp_path / "s", seed=[1, 2])
    found = sweep(tmp_path / "s", seed=[2, 3])
    assert [entry.name for entry in found.entries()] == ["seed1", "seed2", "seed3"]
    assert [job.name for job in found.jobs(["seed3"])] == ["seed3"]


def test_a_run_of_another_configuration_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    found = sweep(tmp_path / "s", seed=[1, 2])
    (tmp_path / "s" / "seed1").mkdir()
    (tmp_path / "s" / "seed1" / "config.toml").write_text(found.config("seed1"))
    before = (tmp_path / "s" / SWEEP).read_bytes()
    with pytest.raises(UsageError, match=r"seed1 has another configuration \(training.steps: 6 -> 9\)"):
        sweep(tmp_path / "s", seed=[1, 2], steps=9)
    assert (tmp_path / "s" / SWEEP).read_bytes() == before
    assert found.config("seed2") == tiny_plan(seed=[1, 2]).runs[1].config.to_toml()


def test_other_threads_are_refused(tmp_path: Path) -> None:
    sweep(tmp_path / "s", seed=[1, 2], threads=2)
    with pytest.raises(UsageError, match="have 2 threads each, on which their bytes depend, and the plan has 1"):
        sweep(tmp_path / "s", seed=[3, 4])


def test_a_folder_that_is_not_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no sweep at"):
        SweepFolder.open(tmp_path)
    (tmp_path / SWEEP).write_text('{"format": "ganlm-sweep", "format_version": 9}')
    with pytest.raises(WeightsError, match="is not a sweep of this version"):
        SweepFolder.open(tmp_path).entries()
    head = '{"format": "ganlm-sweep", "format_version": 1, "runs": []'
    for rest in ("}", ', "threads": 1, "plugins": [5]}'):
        (tmp_path / SWEEP).write_text(head + rest)
        for read in (SweepFolder.jobs, lambda found: found.plan(default_host())):
            with pytest.raises(WeightsError, match=r"is damaged \(its threads or plugins are wrong\); start the sweep"):
                read(SweepFolder.open(tmp_path))


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "..", ".hidden", "a/b", "a\\b", "a\nb", ""])
def test_a_name_of_a_run_that_leads_out_of_the_folder_is_damage(tmp_path: Path, name: str) -> None:
    found = sweep(tmp_path / "s", seed=[1, 2])
    kept = json.loads((found.path / SWEEP).read_text())
    kept["runs"][1]["name"] = name
    (found.path / SWEEP).write_text(json.dumps(kept))
    for read in (SweepFolder.entries, SweepFolder.jobs, lambda found: found.plan(default_host())):
        with pytest.raises(WeightsError) as caught:
            read(found)
        assert str(caught.value) == (
            f"{found.path / SWEEP} is damaged ({name!r} is no name of a run); start the sweep again"
        )


def test_a_sweep_that_holds_a_link_is_neither_opened_nor_extended(tmp_path: Path) -> None:
    """The log of a run would be written over its target."""
    found = sweep(tmp_path / "s", seed=[1, 2])
    (found.path / "search.log.lock").symlink_to("search.log")  # as Optuna does while it writes
    assert SweepFolder.open(found.path) == found
    link = found.path / "logs" / "seed1.txt"
    link.symlink_to("../../precious")
    message = f"{link} is a symbolic link; put what it points to in its place, or remove it"
    for use in (SweepFolder.open, lambda path: sweep(path, seed=[1, 2, 3])):
        with pytest.raises(WeightsError) as caught:
            use(found.path)
        assert str(caught.value) == message


def test_the_path_of_the_data_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker has another working directory."""
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("a\n")
    from ganlm_core.sweep.plan import make_plan

    found = SweepFolder(tmp_path / "s")
    found.write(make_plan(default_host(), [], {"data": "my.txt"}), default_host())
    assert f'path = "{tmp_path.resolve() / "my.txt"}"' in found.config("run")
