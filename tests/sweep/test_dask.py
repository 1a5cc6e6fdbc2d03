"""The engine for clusters, on a real scheduler with two workers of this machine, one of which is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ganlm_core.errors import GanlmError, PluginError, UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep import dask
from ganlm_core.sweep.dask import MARK, Cluster, Identity, StopFile, Ticket, engine, is_open, problem, queue, tls
from ganlm_core.sweep.job import Attempt, Job
from ganlm_core.sweep.plan import Plan
from ganlm_core.system.lock import holder_of
from ganlm_core.system.version import __version__
from ganlm_core.training.run_folder import RunFolder
from tests.sweep.runs import StopLevel, sweep

pytest.importorskip("distributed")

WAIT = 120.0


def start(*words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two workers."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    processes = [start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file), "--no-show")]
    until(file.is_file)
    place = str(json.loads(file.read_text())["address"])
    for name in ("one", "two"):
        options = ["--nthreads", "1", "--no-nanny", "--name", name, "--local-directory", str(folder / name)]
        processes.append(start("worker", place, *options))
    yield place
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Any]:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=WAIT)
        yield client


def until(reached: Any) -> None:
    ends = time.monotonic() + WAIT
    while not reached():
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.1)


def test_a_worker_with_another_version_is_refused_by_name(client: Any, tmp_path: Path) -> None:
    other = Cluster(client, tmp_path, Identity("9.9", {}))
    with pytest.raises(PluginError, match=rf"the worker at tcp://127.0.0.1:\d+ has ganlm {__version__} and not 9\.9"):
        other.train([], StopLevel(), lambda: None)
    plugins = Cluster(client, tmp_path, Identity(__version__, {"ganlm-mine": "3"}))
    with pytest.raises(PluginError, match="has no plugin ganlm-mine 3; wanted the same versions on all machines"):
        plugins.train([], StopLevel(), lambda: None)
    assert not list(tmp_path.glob(f"{MARK}*"))


def test_a_disk_that_is_not_shared_is_refused(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark is there for nobody, as on a disk that only this machine has."""
    monkeypatch.setattr(dask, "write_file", lambda path, data: None)
    with pytest.raises(GanlmError, match=r"does not see .*, so its disk is not the shared one; give a --folder"):
        Cluster(client, tmp_path).train([], StopLevel(), lambda: None)


def test_a_run_that_failed_does_not_stop_the_others(client: Any, tmp_path: Path) -> None:
    found = sweep(tmp_path / "s", seed=[1, 2])
    (tmp_path / "s" / "configs" / "seed1.toml").write_text("recipe = 3\n")
    first, second = Cluster(client, found.path).train(found.jobs(), StopLevel(), lambda: None)
    assert first.failure.startswith("recipe is 3; wanted the name of a recipe")
    assert second.failure == "" and RunFolder(second.run).is_finished


def test_a_killed_worker_gives_its_run_to_another_which_resumes_it(client: Any, tmp_path: Path) -> None:
    """The worker and the run that it trains end at once, as on a machine that loses its power."""
    options = {"steps": 1000, "checkpoint-every": 10, "evaluate-every": 1000}
    found = sweep(tmp_path / "s", seed=[1, 2], **options)
    job = found.jobs()[0]
    killer = threading.Thread(target=_kill_the_worker_of, args=(job,))
    killer.start()
    done = Cluster(client, found.path).train(found.jobs(), StopLevel(), lambda: None)
    killer.join()
    assert [each.failure for each in done] == ["", ""]
    assert all(RunFolder(each.run).is_finished for each in done)
    attempt = Attempt.read(job.attempt)
    assert attempt is not None and attempt.step >= 10  # the second worker went on from a checkpoint
    assert len(client.scheduler_info()["workers"]) == 1


def _kill_the_worker_of(job: Job) -> None:
    checkpoints = job.run / "checkpoints"  # the older ones are deleted
    until(lambda: job.attempt.is_file() and any(each.name >= "step-00000010" for each in checkpoints.glob("step-*")))
    run = int(holder_of(job.run).split()[1])  # "process 123 on host ..."
    worker = int(Path(f"/proc/{run}/stat").read_text().rpartition(")")[2].split()[1])
    for process in (worker, run):
        os.kill(process, signal.SIGKILL)


def test_a_stop_reaches_all_workers(client: Any, tmp_path: Path) -> None:
    found = sweep(tmp_path / "s", seed=[1, 2, 3], steps=100_000)
    stop = StopLevel()

    def watch() -> None:
        if any(RunFolder(job.run).metrics.path.exists() for job in found.jobs()):
            stop.level = 1

    done = Cluster(client, found.path).train(found.jobs(), stop, watch)
    assert all(each.interrupted for each in done)
    assert not list(found.path.glob(".s*-*"))


def test_no_scheduler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "SECONDS", 1)
    with pytest.raises(GanlmError, match=r"no scheduler answers at tcp://127.0.0.1:9 .*start one with 'dask"):
        engine("tcp://127.0.0.1:9", default_host(), tmp_path, Plan([]), None, None, print)


@pytest.mark.parametrize(
    ("address", "found"),
    [("tcp://127.0.0.1:8786", False), ("tcp://localhost:1", False), ("tls://node:1", False), ("tcp://node:1", True)],
)
def test_an_open_address_is_one_that_others_reach_without_tls(address: str, found: bool) -> None:
    assert is_open(address) is found


def test_an_open_address_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    empty = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": {}})
    monkeypatch.setattr(dask, "_client", lambda scheduler, security: empty)
    engine("tcp://node:8786", default_host(), tmp_path, Plan([]), None, None, told.append)
    assert told[1].startswith("tcp://node:8786 has no worker yet, and the runs wait for one")
    assert told[0].startswith("tcp://node:8786 is not encrypted and asks for no password")


def test_tls_files_are_passed_through(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")]
    for file in files:
        file.write_text("")
    security = tls(*files)
    assert security is not None and security.require_encryption and security.tls_ca_file == str(files[0])
    assert tls(None, None, None) is None
    with pytest.raises(UsageError, match="--tls-key must name a file"):
        tls(files[0], files[1], None)


def test_what_differs_is_told() -> None:
    mine = Identity("1", {"a": "1"})
    assert mine.difference(Identity("1", {"a": "1", "b": "2"})) == ""
    assert mine.difference(Identity("1", {"a": "2"})) == "plugin a 2 and not 1"
    assert mine.difference(Identity("2", {})) == "ganlm 2 and not 1"


def test_this_machine_fits_its_own_ticket(tmp_path: Path) -> None:
    (tmp_path / f"{MARK}x").write_text("")
    assert problem(Ticket(dask.own_identity(), str(tmp_path), "x")) == ""
    assert "does not see" in problem(Ticket(dask.own_identity(), str(tmp_path), "y"))


def test_the_stop_file_holds_the_level(tmp_path: Path) -> None:
    assert StopFile(tmp_path / "stop").level == 0
    (tmp_path / "stop").write_text("2")
    assert StopFile(tmp_path / "stop").level == 2


def test_the_job_of_slurm_has_the_threads_and_the_arguments_of_the_plan() -> None:
    pytest.importorskip("dask_jobqueue")
    arguments = {"queue": "short", "walltime": "02:00:00", "worker_extra_args": ["--resources", "GPU=1"]}
    with queue("slurm", Plan([], threads=2, cluster=arguments)) as cluster:
        script = cluster.job_script().splitlines()
    assert {"#SBATCH -J ganlm", "#SBATCH -p short", "#SBATCH -t 02:00:00", "#SBATCH -n 1"} <= set(script)
    assert {"export OMP_NUM_THREADS=2", "export MKL_NUM_THREADS=2"} <= set(script)
    assert "dask_worker" in script[-1].replace(" worker", "_worker") and "--resources GPU=1" in script[-1]


def test_wrong_arguments_of_a_job_are_refused() -> None:
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(UsageError, match=r"\[sweep.cluster\] does not make a job of slurm .*'wall'"):
        queue("slurm", Plan([], cluster={"wall": 1}))
