"""Resuming: with which configuration a run goes on, and what is checked and restored before it does.

Nothing imports torch.
"""

from dataclasses import replace
from pathlib import Path

from ganlm_core.config.run_config import RunConfig, difference
from ganlm_core.errors import UsageError
from ganlm_core.training.paths import with_absolute_paths, with_data_of
from ganlm_core.training.run_folder import RunFolder

MAY_CHANGE = (
    "training.device", "corpus.file.path", "corpus.oracle.weights", "start.generator", "start.discriminator",
)  # fmt: skip
"""Options that a user may edit in config.toml: the device, and where data and bundles are, by their hashes."""


def resumed(run: Path, saved: RunConfig, wanted: RunConfig) -> RunConfig:
    """Return ``saved``, the configuration of a run, with more steps and moved data if ``wanted`` has them.

    Paths are compared as absolute paths. Raises UsageError for fewer steps and for any other difference.
    """
    longer = extended(saved, wanted.training.steps)
    planned = wanted.training.planned_steps or longer.training.planned_steps
    wanted = with_absolute_paths(replace(wanted, training=replace(wanted.training, planned_steps=planned)))
    found = with_absolute_paths(with_data_of(longer, wanted))
    if changes := difference(found, wanted):
        raise UsageError(
            f"--resume {run}: the run has another configuration ({', '.join(changes)}); "
            "resume it without these options, or start a new run"
        )
    return found


def extended(config: RunConfig, steps: int) -> RunConfig:
    """Return the configuration of a run that is trained on to ``steps``. Its schedules stay as they were planned.

    Raises UsageError for fewer steps.
    """
    training = config.training
    if steps < training.steps:
        raise UsageError(f"the run has {training.steps} steps, and --steps {steps} is fewer; give more, or none")
    if steps == training.steps:
        return config
    planned = training.planned_steps or training.steps
    return replace(config, training=replace(training, steps=steps, planned_steps=planned))


def has_more_steps(old: RunConfig, new: RunConfig, folder: RunFolder) -> bool:
    """Return whether the run got more steps since a checkpoint with the configuration ``old``.

    Raises UsageError if config.toml was edited in any other way, except for the options in MAY_CHANGE.
    """
    expected = extended(old, max(old.training.steps, new.training.steps))
    changes = [line for line in difference(expected, new) if line.partition(":")[0] not in MAY_CHANGE]
    if changes:
        raise UsageError(
            f"{folder.config_file} was edited after the last checkpoint ({', '.join(changes)}); "
            "put it back as it was, or start a new run; only --resume RUN --steps MORE changes a run"
        )
    return expected != old


def restore_missing_files(folder: RunFolder, tokenizer: str) -> list[str]:
    """Restore missing files of the folder, such as the ``tokenizer``; return a note for each."""
    notes = []
    if not folder.tokenizer_file.is_file():
        folder.write_tokenizer(tokenizer)
        notes.append(f"{folder.tokenizer_file} was missing and was written again")
    if not folder.samples.is_dir():
        folder.samples.mkdir()
        notes.append(f"{folder.samples} was missing; the samples of earlier evaluations are lost")
    return notes
