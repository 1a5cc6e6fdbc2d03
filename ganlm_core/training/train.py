"""What ``ganlm run`` and :func:`ganlm_core.train` both do: train in a run folder."""

import shutil
from dataclasses import replace
from pathlib import Path

from ganlm_core.bundle.load import load
from ganlm_core.bundle.model import Model
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.options import FileOptions
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.system import processes
from ganlm_core.system.devices import keep_memory
from ganlm_core.system.files import removed_on_failure, write_file
from ganlm_core.training.display import Display
from ganlm_core.training.run import Run
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.setup import Setup, prepare, run_name


def train(config: RunConfig, host: Host | None = None, out: Path | str | None = None) -> Model:
    """Train as ``ganlm run`` does, without a word, and load the bundle: ``train(make_config("lstm", "conv"))``."""
    host = host or default_host()
    return load(execute(config, host=host, out=Path(out) if out is not None else None).bundle, host)


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
    setup = prepare(config, host)
    if resume is None:
        folder = RunFolder.create(out, run_name(config), config.to_toml())
        processes.remember(str(folder.path))
        with removed_on_failure(folder.path):
            folder.write_tokenizer(setup.tokenizer.to_json())
            run = Run(_keep_standard_input(setup, folder), folder, display)
            run.begin()
    else:
        run = Run(setup, folder, display)
        run.restore()
    run.train()
    return folder


def _begun() -> Path | None:
    """The run in which these processes were before they were started again. One that has no checkpoint is removed."""
    begun = processes.begun()
    if not begun or any(RunFolder(Path(begun)).checkpoints.glob("step-*")):
        return Path(begun) if begun else None
    shutil.rmtree(begun, ignore_errors=True)
    return None


def _keep_standard_input(setup: Setup, folder: RunFolder) -> Setup:
    """What came through standard input is kept in the run folder, where a resumed run finds it.

    The parts one after the other: each sentence falls into its part again, in the same order.
    """
    corpus, options = setup.corpus, setup.config.corpus.options
    if not isinstance(options, FileOptions) or options.path != "-":
        return setup
    write_file(folder.data, "".join(f"{text}\n" for text in (*corpus.train, *corpus.validation, *corpus.test)).encode())
    choice = replace(setup.config.corpus, options=replace(options, path=str(folder.data)))
    config = replace(setup.config, corpus=choice)
    folder.write_config(config.to_toml())
    return replace(setup, config=config)
