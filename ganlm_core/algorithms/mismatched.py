"""Real text with a wrong label, for a discriminator to reject like generated text (Reed et al. 2016, Alg. 1)."""

from dataclasses import replace

import torch

from ganlm_core.errors import UsageError
from ganlm_core.protocol import Batch, Parts


def require_labels(parts: Parts, share: float) -> None:
    """Raise UsageError for a share of mismatched pairs in a run without labels."""
    if share > 0 and parts.discriminator.shape.labels == 0:
        raise UsageError(
            "--algorithm.mismatched shows the discriminator real text with a wrong label, and the data have no labels; "
            "name their column with --corpus.label, or leave the option out"
        )


def mismatched(batch: Batch, labels: int) -> Batch:
    """Return the batch with another label for each row, all others equally likely."""
    assert batch.labels is not None
    wrong = (batch.labels + torch.randint_like(batch.labels, 1, labels)) % labels
    return replace(batch, labels=wrong)
