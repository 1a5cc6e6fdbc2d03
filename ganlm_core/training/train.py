"""``ganlm run`` and :func:`ganlm_core.train`: train in a run folder."""

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
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.system import processes
from ganlm_core.system.devices import keep_memory
from ganlm_core.system.lock import locked
from ganlm_core.system.printable import shown
from ganlm_core.training.display import Display, PythonWarnings, Unfailing
from ganlm_core.training.paths import is_read_once, with_data_of
from ganlm_core.training.resuming import resumed
from ganlm_core.training.run import Run
from ganlm_core.training.run_folder import RunFolder, run_name
from ganlm_core.training.setup import Setup, prepare


def train(
    config: RunConfig,
    host: Host | None = None,
    out: Path | str | None = None,
    start: Model | Path | str | None = None,
    grow_vocabulary: bool = False,
) -> Model:
    """Train as ``ganlm run`` does, and load the bundle: ``train(make_config("lstm", "conv"))``.

    Shows nothing, but warns of a collapse and of memorising (:mod:`warnings`).

    ``start``: a loaded bundle, or its address; its networks, tokenizer and sizes replace those of ``config``, and its
    weights are trained further. ``grow_vocabulary``: add the words of the text that the bundle does not know. Raises
    the errors of :func:`execute`, and UsageError for a model that was not loaded from a bundle, and for a ``config``
    that is none.
    """
    if not isinstance(config, RunConfig):
        raise UsageError(f'config is {shown(config)}; give one, such as train(make_config("lstm", "conv"))')
    host = host or default_host()
    if grow_vocabulary and start is None:
        raise UsageError("grow_vocabulary is for training that starts from a bundle; add start=..., or leave it out")
    if start is not None:
        config = started(host, config, _source(start), grow_vocabulary)
    folder = Path(out) if out is not None else None
    return load(execute(config, host=host, out=folder, display=PythonWarnings()).bundle, host)


def _source(start: Model | Path | str) -> str:
    """Return the address of the bundle to start from. Raises UsageError for a model that has none."""
    source = start.source if isinstance(start, Model) else str(start)
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

    A resumed run needs the ``config`` of its start, which may have more steps. Processes that ``torchrun`` restarts
    after a process was lost resume their run. Raises Interrupted if a signal stopped the run and
    a checkpoint was saved, TrainingError if a step failed, FolderInUse if another process trains in the folder, and
    the errors of :func:`prepare`.
    """
    keep_memory()
    display = Unfailing(display or Display())
    host = host or default_host()
    if resume is None and (begun := processes.begun()) and is_run(Path(begun)):
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
            processes.remember(str(folder.path))
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
