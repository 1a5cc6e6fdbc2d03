"""The engine for a cluster: the workers of a Dask scheduler, or of a job queue through dask-jobqueue.

The scheduler decides which worker trains a run; the lock of the run folder also keeps a second process out. All
machines share the disk of the sweep. If a worker is lost, other workers resume its runs. Each run is a process of its
own, started by :func:`ganlm_core.sweep.job.train` on the worker.
"""

import ipaddress
import platform
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ganlm_core.errors import GanlmError, PluginError, UsageError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.sweep.job import Job, Stop, Trained, train
from ganlm_core.sweep.plan import Plan
from ganlm_core.sweep.processes import WATCH
from ganlm_core.system.files import write_file
from ganlm_core.system.version import __version__

QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster"}
"""The classes of dask-jobqueue, by the word after --scheduler."""

QUEUED = {"cores": 1, "processes": 1, "memory": "4GB", "job_name": "ganlm"}
"""Default arguments of a job without [sweep.cluster]: one run in each job."""

GPU = "GPU"
"""The resource that a worker with a GPU offers: ``dask worker --resources GPU=1``."""

SECONDS = 10
"""Seconds in which a scheduler must answer."""

MARK = ".shared-"
"""Start of the name of the file by which a worker shows that it sees the disk of the sweep."""

STOP = ".stop-"
"""Start of the name of the file that asks the runs on all workers to stop; its text is the level."""

ANSWERED = "wanted the same versions on all machines; install them there, or leave this worker out"

OPEN = "is not encrypted and asks for no password: any user who can connect to it can run programs on the workers"

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Identity:
    """The versions on which the bytes of a run depend: of ganlm, and of each plugin by name."""

    ganlm: str
    plugins: Mapping[str, str]

    @classmethod
    def of(cls, host: Host) -> "Identity":
        return cls(__version__, {each.name: str(each.version) for each in host.health if each.status == "ok"})

    def difference(self, other: "Identity") -> str:
        """Return the version that differs in ``other``, or is missing there; empty if both are equal."""
        if self.ganlm != other.ganlm:
            return f"ganlm {other.ganlm} and not {self.ganlm}"
        for name, version in self.plugins.items():
            found = other.plugins.get(name)
            if found != version:
                return f"plugin {name} {found} and not {version}" if found else f"no plugin {name} {version}"
        return ""


@dataclass(frozen=True)
class Ticket:
    """Everything that a worker needs beside the job: the versions, and the folder with its mark."""

    identity: Identity
    folder: str
    mark: str
    files: Sequence[str] = ()

    @property
    def shared(self) -> Path:
        return Path(self.folder) / f"{MARK}{self.mark}"

    @property
    def stop(self) -> Path:
        return Path(self.folder) / f"{STOP}{self.mark}"


@dataclass(frozen=True)
class StopFile:
    """A Stop that a file on the shared disk holds."""

    path: Path

    @property
    def level(self) -> int:
        with suppress(OSError, ValueError):
            return int(self.path.read_text(encoding="utf-8"))
        return 0


def own_identity(files: Sequence[str] = ()) -> Identity:
    """Return the versions on this machine, including plugin ``files``."""
    return Identity.of(Host.discover(files) if files else default_host())


def problem(ticket: Ticket) -> str:
    """Return why this machine cannot train a run of a ticket; empty if it can. Workers call it."""
    if differs := ticket.identity.difference(own_identity(ticket.files)):
        return f"has {differs}; {ANSWERED}"
    if ticket.shared.is_file():
        return ""
    return f"does not see {ticket.shared}, so its disk is not the shared one; give a --folder that all machines share"


def work(job: Job, ticket: Ticket) -> Trained:
    """Train a run on a worker. Called there by the scheduler."""
    if found := problem(ticket):
        return Trained(job.run, f"the worker on {platform.node()} {found}")
    try:
        return train(job, StopFile(ticket.stop))
    except GanlmError as error:
        return Trained(job.run, str(error))


@dataclass(frozen=True)
class Cluster:
    """Trains runs on the workers of a client's scheduler."""

    client: Any
    folder: Path
    identity: Identity = field(default_factory=own_identity)
    files: Sequence[str] = ()

    def train(self, jobs: Sequence[Job], stop: Stop, watch: Callable[[], None]) -> list[Trained]:
        """Train all jobs and return their outcomes in the same order.

        Raises GanlmError and PluginError, before anything trains, for a worker that cannot train.
        """
        with self._marked() as ticket, self.client.as_current():
            self._check_workers(ticket)
            resources = {GPU: 1} if self._has_gpus() else {}
            futures = [
                self.client.submit(work, job, ticket, key=f"{job.name}-{ticket.mark}", pure=False, resources=resources)
                for job in jobs
            ]
            self._follow(futures, stop, watch, ticket)
            return [_outcome(job, future) for job, future in zip(jobs, futures, strict=True)]

    @contextmanager
    def _marked(self) -> Iterator[Ticket]:
        """Put a mark on the shared disk while runs train."""
        folder = self.folder.resolve()
        ticket = Ticket(self.identity, str(folder), uuid.uuid4().hex, self.files)
        write_file(ticket.shared, b"")
        try:
            yield ticket
        finally:
            for file in (ticket.shared, ticket.stop):
                file.unlink(missing_ok=True)

    def _check_workers(self, ticket: Ticket) -> None:
        answers: dict[str, Any] = self.client.run(problem, ticket, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, Exception):
                raise PluginError(f"the worker at {worker} cannot run ganlm ({_first_line(answer)}); {ANSWERED}")
            if answer:
                kind = PluginError if ANSWERED in answer else GanlmError
                raise kind(f"the worker at {worker} {answer}")

    def _has_gpus(self) -> bool:
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return any(GPU in worker.get("resources", {}) for worker in workers)

    def _follow(self, futures: Sequence[Any], stop: Stop, watch: Callable[[], None], ticket: Ticket) -> None:
        from distributed import wait

        level = 0
        while not all(future.done() for future in futures):
            with suppress(TimeoutError):
                wait(futures, timeout=WATCH)
            if stop.level > level:
                level = stop.level
                write_file(ticket.stop, str(level).encode())
                _cancel_waiting(self.client, futures)
            watch()
        watch()


def _cancel_waiting(client: Any, futures: Sequence[Any]) -> None:
    """Cancel the runs that no worker has begun."""
    processing = {key for keys in client.processing().values() for key in keys}
    waiting = [future for future in futures if not future.done() and future.key not in processing]
    client.cancel(waiting, reason="the sweep was stopped")


def _outcome(job: Job, future: "Future[Trained]") -> Trained:
    from distributed import CancelledError, KilledWorker

    try:
        return future.result()
    except CancelledError:
        return Trained(job.run, "stopped before it began", interrupted=True)
    except KilledWorker as error:
        return Trained(job.run, f"it was lost with each worker that had it ({_first_line(error)})")
    except Exception as error:
        return Trained(job.run, f"the worker failed: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def engine(
    scheduler: str, host: Host, folder: Path, plan: Plan, jobs: int | None, tls: Any | None, warn: Warn
) -> Cluster:
    """Return the engine for a scheduler's address, or for a job queue with ``jobs`` jobs.

    Raises GanlmError if the packages are missing or nothing answers at the address.
    """
    identity, files = Identity.of(host), [str(Path(file).resolve()) for file in host.files]
    if scheduler in QUEUES:
        if "security" not in plan.cluster and plan.cluster.get("protocol") != "tls://":
            warn(f"the scheduler of the jobs {OPEN}; set protocol = 'tls://' in [sweep.cluster]")
        cluster = queue(scheduler, plan)
        cluster.scale(jobs=jobs or len(plan.runs))
        return Cluster(_client(cluster, None), folder, identity, files)
    if "://" not in scheduler:
        raise UsageError(f"'{scheduler}' is no address; give tcp://HOST:PORT, tls://HOST:PORT, or {', '.join(QUEUES)}")
    if tls is None and is_open(scheduler):
        warn(f"{scheduler} {OPEN}; use tls:// with --tls-ca, --tls-cert and --tls-key, or a network of your own")
    client = _client(scheduler, tls)
    if not client.scheduler_info(n_workers=-1)["workers"]:
        warn(f"{scheduler} has no worker yet, and the runs wait for one: dask worker {scheduler} --nthreads 1")
    return Cluster(client, folder, identity, files)


def queue(name: str, plan: Plan) -> Any:
    """Return the cluster of a job queue with the arguments of ``[sweep.cluster]``. Its ``job_script()`` is text."""
    try:
        import dask_jobqueue
    except ImportError:
        raise GanlmError(f"--scheduler {name} needs dask-jobqueue; install it: pip install 'ganlm[cluster]'") from None
    threads = [f"export {name}={plan.threads}" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")]
    arguments = {**QUEUED, "job_script_prologue": threads, **plan.cluster}
    try:
        return getattr(dask_jobqueue, QUEUES[name])(**arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f"[sweep.cluster] does not make a job of {name} ({error}); see docs/sweep.md") from None


def tls(authority: Path | None, certificate: Path | None, key: Path | None) -> Any | None:
    """Return Dask's security options for these files; None without any. Raises UsageError if some are missing."""
    given = {"--tls-ca": authority, "--tls-cert": certificate, "--tls-key": key}
    if not any(given.values()):
        return None
    if missing := [flag for flag, file in given.items() if file is None or not file.is_file()]:
        raise UsageError(f"{' and '.join(missing)} must name a file; TLS needs all of {', '.join(given)}")
    security = _distributed().Security
    return security(
        tls_ca_file=str(authority), tls_client_cert=str(certificate), tls_client_key=str(key), require_encryption=True
    )


def is_open(address: str) -> bool:
    """Return whether other machines may reach an address without TLS."""
    parts = urlsplit(address)
    if parts.scheme in ("tls", "inproc"):
        return False
    name = parts.hostname or ""
    with suppress(ValueError):
        return not ipaddress.ip_address(name).is_loopback
    return name != "localhost"


def _client(scheduler: Any, security: Any | None) -> Any:
    try:
        return _distributed().Client(scheduler, security=security, timeout=SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise GanlmError(
            f"no scheduler answers at {scheduler} ({_first_line(error)}); start one with 'dask scheduler', "
            "and workers with 'dask worker ADDRESS --nthreads 1'"
        ) from None


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise GanlmError("--scheduler needs Dask; install it: pip install 'ganlm[cluster]'") from None
    return distributed
