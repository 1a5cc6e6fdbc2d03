"""Settings for small text, which a generator soon learns by heart."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlm_core.data.options import FileOptions

if TYPE_CHECKING:
    from ganlm_core.config.run_config import RunConfig

PASSES = 20
"""Text is small if a run passes over it more often than this."""

EPOCHS, EVALUATIONS = 4, 100
"""A run of small text is evaluated every EPOCHS epochs, but EVALUATIONS times at most."""

LARGEST = 2**20
"""Bytes of the largest file whose sentences are counted. Longer text is not small."""


def small_text(config: "RunConfig") -> dict[str, Any]:
    """Return the layer that suits the text of a configuration: empty, if that is not small or not known yet.

    The weights that are best on the validation split are kept, and evaluations come often enough to find them: with 400
    sentences, the validation likelihood is best after 20 to 80 steps, whatever the size of the network.
    """
    sentences = _sentences(config)
    if not sentences or passes(config, sentences) <= PASSES:
        return {}
    training = config.training
    epochs = EPOCHS * max(1, sentences // training.batch_size)
    often = max(epochs, training.steps // EVALUATIONS)
    return {"training": {"keep": "best", "evaluate_every": min(training.evaluate_every, often)}}


def passes(config: "RunConfig", sentences: int) -> float:
    """Return how often a run passes over its training sentences, with a batch a step."""
    return config.training.steps * config.training.batch_size / sentences


def _sentences(config: "RunConfig") -> int:
    """Return about how many sentences the text has; 0 if that is not known before it is read."""
    options = config.corpus.options
    if not isinstance(options, FileOptions):
        return int(options.as_dict().get("size", 0))
    path = Path(options.path)
    if not path.is_file() or path.suffix.lower() == ".gz" or path.stat().st_size > LARGEST:
        return 0
    return path.read_bytes().count(b"\n")
