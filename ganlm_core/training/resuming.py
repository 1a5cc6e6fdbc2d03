"""Resuming: what is checked and restored before a run goes on from a checkpoint."""

from ganlm_core.config.run_config import RunConfig, difference
from ganlm_core.errors import DataError, UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.training import checkpoint
from ganlm_core.training.checkpoint import Checkpoint
from ganlm_core.training.progress import Saved
from ganlm_core.training.run_folder import RunFolder, extended
from ganlm_core.training.setup import Setup

MAY_CHANGE = (
    "training.device", "corpus.file.path", "corpus.oracle.weights", "start.generator", "start.discriminator",
)  # fmt: skip
"""Options that a user may edit in config.toml: the device, and where data and bundles are, by their hashes."""


def saved_values(found: Checkpoint, setup: Setup, folder: RunFolder) -> Saved:
    """Return the run's own values in a checkpoint. Raises WeightsError, and DataError for other training data."""
    try:
        saved = Saved.of(found.extra)
    except (KeyError, TypeError, ValueError) as error:
        raise checkpoint.not_a_state(found.path, error) from error
    if saved.data != setup.fingerprint:
        raise DataError(
            f"the training data of {folder.path} have changed since it was started; "
            "put the old data back, or start a new run"
        )
    return saved


def has_more_steps(saved: Saved, host: Host, folder: RunFolder) -> bool:
    """Return whether the run got more steps since its checkpoint.

    Raises UsageError if config.toml was edited in any other way, except for the options in MAY_CHANGE.
    """
    if not saved.config:
        return False
    old, new = (RunConfig.from_toml(host, text) for text in (saved.config, folder.config()))
    more = new.training.steps > old.training.steps
    expected = extended(old, new.training.steps) if more else old
    changes = [line for line in difference(expected, new) if line.partition(":")[0] not in MAY_CHANGE]
    if changes:
        raise UsageError(
            f"{folder.path / 'config.toml'} was edited after the last checkpoint ({', '.join(changes)}); "
            "put it back as it was, or start a new run; only --resume RUN --steps MORE changes a run"
        )
    return more


def mended(setup: Setup, folder: RunFolder) -> list[str]:
    """Restore missing files of the folder; return a note for each."""
    notes = []
    if not (folder.path / "tokenizer.json").is_file():
        folder.write_tokenizer(setup.tokenizer.to_json())
        notes.append(f"{folder.path / 'tokenizer.json'} was missing and was written again")
    if not folder.samples.is_dir():
        folder.samples.mkdir()
        notes.append(f"{folder.samples} was missing; the samples of earlier evaluations are lost")
    return notes
