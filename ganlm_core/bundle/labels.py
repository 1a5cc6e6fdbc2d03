"""The labels of a bundle: their numbers, and the labels of sentences for which none is asked."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlm_core.errors import UnknownName, UsageError


@dataclass(frozen=True)
class Labels:
    """The ``names`` of the categories in the order of their numbers, and how many training sentences had each."""

    names: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def shares(self) -> Tensor:
        """The frequency (K,) of each label in the training text."""
        counts = torch.tensor(self.counts, dtype=torch.float64)
        return counts / counts.sum()

    def __str__(self) -> str:
        """Return the labels with their frequencies, the first few of many."""
        pairs = list(zip(self.names, self.shares.tolist(), strict=True))
        told = ", ".join(f"{name} {share:.0%}" for name, share in pairs[:10])
        return told + ", ..." * (len(pairs) > 10)

    def number(self, name: str) -> int:
        """Return the number of a label. Raises UnknownName, and UsageError for a bundle without labels."""
        if not self.names:
            raise UsageError(
                f"there is no label '{name}': this bundle was trained without labels; "
                "train one on data with --corpus.label COLUMN"
            )
        if name not in self.names:
            raise UnknownName("label", name, self.names, hint=f"the bundle has {', '.join(self.names[:20])}")
        return self.names.index(name)

    def asked(self, n: int, name: str | int | None, seed: int) -> Tensor | None:
        """Return the numbers (n,) of the label ``name``, or without a name of labels drawn by their frequency.

        A whole number is the name of a label as text is. None without labels. Raises the errors of :meth:`number`.
        """
        if name is not None and name != "":
            return torch.full((n,), self.number(str(name)))
        if not self.names:
            return None
        return torch.multinomial(self.shares, n, replacement=True, generator=torch.Generator().manual_seed(seed))

    def of(self, names: Sequence[str], texts: int) -> Tensor | None:
        """Return the numbers (N,) of the labels of so many texts; None for a bundle without labels.

        Raises UsageError if they have no labels, or if the bundle has none, and the errors of :meth:`number`.
        """
        if not self.names:
            for name in names:
                self.number(name)  # raises, as for every name that is not one of the labels
            return None
        if names and len(names) != texts:
            raise UsageError(f"there are {len(names):,} labels for {texts:,} texts; give one for each")
        if len(names) != texts:
            raise UsageError(
                "this bundle judges a text as a text of its label, and the texts have none; give labels=[...], or name "
                "a column of labels with --corpus.label COLUMN"
            )
        return torch.tensor([self.number(name) for name in names], dtype=torch.int64)
