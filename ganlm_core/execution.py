"""What ``ganlm run`` and :func:`ganlm_core.train` both do: train an experiment in a run folder."""

import shutil
from dataclasses import replace
from pathlib import Path

from ganlm_core import bundle, distributed
from ganlm_core.config import RunConfig
from ganlm_core.course import Course, Display
from ganlm_core.devices import keep_memory
from ganlm_core.experiment import Experiment, prepare, run_name
from ganlm_core.files import write_file
from ganlm_core.model import Model
from ganlm_core.plugins import Host, default_host
from ganlm_core.runs import RunFolder, removed_on_failure
from ganlm_core.standard import FileOptions


def train(config: RunConfig, host: Host | None = None, out: Path | str | None = None) -> Model:
    """Train as ``ganlm run`` does, without a word, and load the bundle: ``train(make_config("lstm", "conv"))``."""
    host = host or default_host()
    return bundle.load(execute(config, host=host, out=Path(out) if out is not None else None).bundle, host)


def execute(
    config: RunConfig,
    *,
    host: Host | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    display: Display | None = None,
) -> RunFolder:
    """Train, evaluate and save in a new run folder, or go on in an old one. Gives the folder.

    ``config`` of a resumed run is the one it was started with. Processes that ``torchrun`` started again, because one
    was lost, go on with the run in which they were. Raises Interrupted when a signal stopped the run and a checkpoint
    was saved, TrainingError when a step could not be finished, and what :func:`prepare` raises.
    """
    keep_memory()
    display = display or Display()
    if resume is None and (resume := _begun()) is not None:
        config = RunFolder.open(resume).load_config(host or default_host())
    if resume is not None and (folder := RunFolder.open(resume)).bundle.is_dir():
        display.note(f"{folder.path} is finished; its bundle is {folder.bundle}")
        return folder
    experiment = prepare(config, host)
    if resume is None:
        folder = RunFolder.create(out, run_name(config), config.to_toml())
        distributed.remember(str(folder.path))
        with removed_on_failure(folder.path):
            folder.write_tokenizer(experiment.tokenizer.to_json())
            course = Course(_keep_standard_input(experiment, folder), folder, display)
            course.begin()
    else:
        course = Course(experiment, folder, display)
        course.restore()
    course.train()
    return folder


def _begun() -> Path | None:
    """The run in which these processes were before they were started again. One that has no checkpoint is removed."""
    begun = distributed.begun()
    if not begun or any(RunFolder(Path(begun)).checkpoints.glob("step-*")):
        return Path(begun) if begun else None
    shutil.rmtree(begun, ignore_errors=True)
    return None


def _keep_standard_input(experiment: Experiment, folder: RunFolder) -> Experiment:
    """What came through standard input is kept in the run folder, where a resumed run finds it.

    The parts one after the other: each sentence falls into its part again, in the same order.
    """
    corpus, options = experiment.corpus, experiment.config.corpus.options
    if not isinstance(options, FileOptions) or options.path != "-":
        return experiment
    write_file(folder.data, "".join(f"{text}\n" for text in (*corpus.train, *corpus.validation, *corpus.test)).encode())
    choice = replace(experiment.config.corpus, options=replace(options, path=str(folder.data)))
    config = replace(experiment.config, corpus=choice)
    folder.write_config(config.to_toml())
    return replace(experiment, config=config)
