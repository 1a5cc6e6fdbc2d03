"""Default settings for small text, which a generator soon memorises."""

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlm_core.data.formats import format_of, unpacked
from ganlm_core.data.options import FileOptions

if TYPE_CHECKING:
    from ganlm_core.config.run_config import RunConfig

MOST_EPOCHS = 20
"""Text is small if a run has more epochs than this."""

EPOCHS, EVALUATIONS = 4, 100
"""A run on small text is evaluated every EPOCHS epochs, and at most EVALUATIONS times."""

LARGEST = 2**20
"""Size in bytes of the largest file whose sentences are counted. Larger text is not small."""


def small_text(config: "RunConfig") -> dict[str, Any]:
    """Return the layer of defaults for small text; empty if the text is not small, or not known yet.

    It keeps the weights that are best on the validation split, and evaluates often enough to find them: with 400
    sentences, the validation likelihood is best after 20 to 80 steps, for small and large networks.
    """
    sentences = _sentences(config)
    if not sentences or epochs(config, sentences) <= MOST_EPOCHS:
        return {}
    training = config.training
    often = max(EPOCHS * max(1, sentences // training.batch_size), training.steps // EVALUATIONS)
    return {"training": {"keep": "best", "evaluate_every": min(training.evaluate_every, often)}}


def epochs(config: "RunConfig", sentences: int) -> float:
    """Return the number of epochs of a run over ``sentences``, with one batch a step."""
    return config.training.steps * config.training.batch_size / sentences


def _sentences(config: "RunConfig") -> int:
    """Return the approximate number of sentences of the text; 0 if it is not known before the text is read."""
    options = config.corpus.options
    if not isinstance(options, FileOptions):
        size = options.as_dict().get("size")
        return size if isinstance(size, int) else 0  # a plugin's option named size may have any type
    text = _small_file(Path(options.path))
    return max(text.count(b"\n"), text.count(b"{") if format_of(options.path) == ".json" else 0)


def _small_file(path: Path) -> bytes:
    """Return the content of a file, unpacked; nothing of a large file, and of one that cannot be read."""
    if not path.is_file() or path.stat().st_size > LARGEST:
        return b""
    try:
        with unpacked(path) as file:
            text = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error):
        return b""
    return text if len(text) <= LARGEST else b""
