"""``ganlm run`` and :func:`ganlm_core.train`: train in a run folder."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ganlm_core.bundle.load import load
from ganlm_core.bundle.manifest import is_run
from ganlm_core.bundle.model import Model
from ganlm_core.bundle.start import started
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.options import FileOptions
from ganlm_core.errors import GanlmError, Interrupted, UsageError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.system import arguments, processes
from ganlm_core.system.arguments import instance
from ganlm_core.system.devices import keep_memory, kept_random_states, plain_torch
from ganlm_core.system.lock import locked
from ganlm_core.system.printable import shown
from ganlm_core.system.signals import pass_on
from ganlm_core.training.display import Display, PythonWarnings, SafeDisplay
from ganlm_core.training.paths import is_read_once, with_data_of
from ganlm_core.training.resuming import resumed
from ganlm_core.training.run import Run
from ganlm_core.training.run_folder import RunFolder, run_name
from ganlm_core.training.setup import Setup, prepare

_TRAINING = threading.Lock()
"""Held by :func:`train`, because runs draw from torch's global random generator."""


def train(
    config: RunConfig | None = None,
    host: Host | None = None,
    out: Path | str | None = None,
    start: Model | Path | str | None = None,
    grow_vocabulary: bool = False,
    resume: Path | str | None = None,
) -> Model:
    """Train as ``ganlm run`` does, and load the bundle: ``train(make_config("lstm", "conv"))``.

    ``start``: a loaded bundle, or its address; its networks, tokenizer and sizes replace those of ``config``, and its
    weights are trained further. ``grow_vocabulary``: add the words of the text that the bundle does not know.

    ``resume``: the folder of a run to go on with: ``train(resume="runs/mine")``. ``config`` may have more steps than
    the run, and its data at another place.

    Shows nothing. Notes on a new run, such as cut sentences, are in its run.json under "notes". What happens later,
    such as a collapse, becomes a warning of the category :class:`ganlm_core.errors.GanlmWarning`.

    SIGINT and SIGTERM stop the run after its step and save a checkpoint; then the program's own handler of the signal
    is called, if it has one. After SIGINT, KeyboardInterrupt is raised, after other signals Interrupted. The error of
    a handler that raises passes on, without another checkpoint.

    Restores torch's random state, and ignores its default dtype and device, autocast and inference mode. Other threads
    must not draw from torch's global generator meanwhile, and not load bundles, which does. Raises UsageError if
    another thread trains, OptionError for arguments of other types, and the errors of :func:`execute`.
    """
    if not isinstance(config, RunConfig) and (config is not None or resume is None):
        raise UsageError(f'config is {shown(config)}; give one, such as train(make_config("lstm", "conv"))')
    host = instance("host", host or default_host(), Host, "a Host, such as Host.discover()")
    if grow_vocabulary and start is None:
        raise UsageError("grow_vocabulary is for training that starts from a bundle; add start=..., or leave it out")
    if out is not None and resume is not None:
        raise UsageError("a resumed run continues in its own folder; leave out either out=... or resume=...")
    folder, run = (
        None if each is None else Path(arguments.path(name, each)) for name, each in (("out", out), ("resume", resume))
    )
    if config is None:
        assert run is not None
        config = RunFolder.open(run).load_config(host)
    with _alone(), kept_random_states(), plain_torch(training=True):
        if start is not None:
            config = started(host, config, _source(start), grow_vocabulary)
        try:
            trained = execute(config, host=host, out=folder, resume=run, display=PythonWarnings())
        except Interrupted as stop:
            pass_on(stop.number)
            if stop.number == signal.SIGINT:
                raise KeyboardInterrupt(str(stop)) from stop
            raise
        return load(trained.bundle, host)


@contextmanager
def _alone() -> Iterator[None]:
    """Raise UsageError if another training runs in this process."""
    if not _TRAINING.acquire(blocking=False):
        raise UsageError(
            "another training runs in this process, and both would draw from one random generator; "
            "train in processes of their own"
        )
    try:
        yield
    finally:
        _TRAINING.release()


def _source(start: Model | Path | str) -> str:
    """Return the address of the bundle to start from. Raises UsageError for a model that has none."""
    source = start.source if isinstance(start, Model) else arguments.path("start", start)
    if not source:
        raise UsageError("this model was not loaded from a bundle; save it with 'ganlm weights export', and load that")
    return source


def execute(
    config: RunConfig,
    *,
    host: Host | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    display: Display | None = None,
) -> RunFolder:
    """Train, evaluate and save in a new run folder, or resume the run at ``resume``. Return the folder.

    A resumed run needs the ``config`` of its start, see :func:`resumed`. Processes that ``torchrun`` restarts
    after a process was lost resume their run. Raises Interrupted if a signal stopped the run and
    a checkpoint was saved, TrainingError if a step failed, FolderInUse if another process trains in the folder, and
    the errors of :func:`prepare`.
    """
    keep_memory()
    display = SafeDisplay(display or Display())
    host = host or default_host()
    if resume is None and (begun := processes.saved_run()) and is_run(Path(begun)):
        resume = Path(begun)
        config = RunFolder.open(resume).load_config(host)
    if resume is not None:
        return _resume(RunFolder.open(resume), config, host, display)
    return _start(out, prepare(config, host), display)


def _start(out: Path | None, setup: Setup, display: Display) -> RunFolder:
    """Train a new run."""
    existed = out is not None and out.exists()
    folder = RunFolder.make(out, run_name(setup.config))
    with locked(folder.path):
        folder.check_free()
        with _cleared_on_failure(folder, existed):
            folder.start(setup.config, _read_once(setup))
            processes.save_run(str(folder.path))
            run = Run(replace(setup, config=folder.load_config(setup.host)), folder, display)
            run.begin()
        run.train()
        run.tidy()
    return folder


def _read_once(setup: Setup) -> list[str] | None:
    """Return the sentences of data that cannot be read again, which the run keeps.

    The splits follow each other, so each sentence gets the same split again, in the same order. Raises UsageError for
    columns that the run reads beside the sentences, which it does not keep.
    """
    corpus, options = setup.corpus, setup.config.corpus.options
    if isinstance(options, FileOptions) and is_read_once(options.path):
        beside = corpus.beside("train")
        if beside.labels or beside.prompts or (beside.others and setup.config.rewards):
            raise UsageError(
                f"{options.path} can be read only once, and a run keeps its sentences alone, without labels, prompts "
                "and other columns; write the data to a file"
            )
        return [*corpus.train, *corpus.validation, *corpus.test]
    return None


@contextmanager
def _cleared_on_failure(folder: RunFolder, existed: bool) -> Iterator[None]:
    """Remove a folder without a trained step; only empty it if it existed before."""
    try:
        yield
    except BaseException:
        with suppress(GanlmError, OSError):
            folder.clear()
            if not existed:
                folder.path.rmdir()
        raise


def _resume(folder: RunFolder, config: RunConfig, host: Host, display: Display) -> RunFolder:
    """Resume a run, to more steps if ``config`` has more, with its data where ``config`` has them.

    A run without a checkpoint begins anew.
    """
    saved = folder.load_config(host)
    config = resumed(folder.path, saved, config)
    more = config.training.steps > saved.training.steps
    if folder.is_finished and not more:
        display.note(f"{folder.path} is finished; its bundle is {folder.bundle}")
        return folder
    with locked(folder.path):
        folder.tidy()
        setup, starting = prepare(config, host), folder.is_starting
        if more:
            if not starting:
                folder.write_info(status="started")
            folder.write_config(with_data_of(config, saved))
        run = Run(setup, folder, display)
        run.begin() if starting else run.restore()
        if config != saved:  # the data there are those of the run, or restoring it would have failed
            folder.write_config(config)
        run.train()
        run.tidy()
    return folder
