"""Rewards of texts in the generator's cost, as in ORGAN (Guimaraes et al. 2017, section 3).

The generator's reward is R = (1 - weight) D + weight O: D is the discriminator's part, the negative cost of the loss,
and O the mean of the rewards by their own weights. With the loss ``probability``, D is the discriminator's probability,
as in the paper. Differs: the paper divides the rewards of repeated texts by their count; ours are as they are.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from itertools import islice
from numbers import Real

import torch
from torch import Tensor

from ganlm_core.errors import PluginError, UsageError
from ganlm_core.plugins.wording import blaming
from ganlm_core.protocol import Batch, Cost, Reward, per_sequence
from ganlm_core.system.printable import shown

Columns = Mapping[str, Sequence[str]]
"""The further columns of the data by name, row by row with the texts."""

REMEMBERED = 2**16
"""Rows whose reward is remembered; the oldest are forgotten first."""


class CheckedReward:
    """A reward whose numbers are checked, and computed once for each distinct row of text and columns.

    ``title`` names the reward and its plugin in errors; ``weight`` is its weight among the rewards of a run.
    """

    def __init__(self, name: str, title: str, reward: Reward, weight: float = 1.0) -> None:
        self.name, self.title, self.reward, self.weight = name, title, reward, weight
        self._known: dict[tuple[str, ...], float] = {}

    def __call__(self, texts: Sequence[str], columns: Columns | None = None) -> list[float]:
        """Return the reward of each text. Raises PluginError for an exception or for numbers that are not allowed."""
        columns = columns or {}
        rows = list(zip(texts, *columns.values(), strict=True))
        new = [row for row in dict.fromkeys(rows) if row not in self._known]
        found = dict(zip(new, self._ask(new, list(columns)), strict=True)) if new else {}
        values = [found[row] if row in found else self._known[row] for row in rows]
        self._remember(found)
        return values

    def _ask(self, rows: Sequence[tuple[str, ...]], names: Sequence[str]) -> list[float]:
        texts, *others = (list(column) for column in zip(*rows, strict=True))
        with blaming(self.title):
            found = self.reward(list(texts), dict(zip(names, others, strict=True)))
            problem = problem_with_rewards(found, texts, self.reward.unbounded)
        if problem:
            raise PluginError(f"{self.title} {problem}")
        return [float(value) for value in found]

    def _remember(self, found: Mapping[tuple[str, ...], float]) -> None:
        self._known |= found
        for row in list(islice(self._known, max(0, len(self._known) - REMEMBERED))):
            del self._known[row]


def problem_with_rewards(found: object, texts: Sequence[str], unbounded: bool) -> str:
    """Return the problem with the result of a reward, worded to follow its name; "" if there is none."""
    if isinstance(found, str) or not (isinstance(found, Sized) and isinstance(found, Iterable)):
        return f"gives {shown(found)}; return a list with a number for each text"
    if len(found) != len(texts):
        return f"gives {len(found)} numbers for {len(texts)} texts; return one for each"
    for value, text in zip(found, texts, strict=True):
        if not isinstance(value, Real):
            return f"gives a value of type {type(value).__name__} for {shown(text)}; return numbers"
        number = float(value)
        if not math.isfinite(number):
            return f"gives {number} for {shown(text)}; return finite numbers"
        if not (unbounded or 0 <= number <= 1):
            return f"gives {number:g} for {shown(text)}; return 0 to 1, or set unbounded = True in its class"
    return ""


class Rewards:
    """The rewards of a run: mixes them into a cost of ids. ``share`` is their weight, above 0 and at most 1.

    ``decode`` maps ids (N, T) to N texts. ``compiled``: keep torch.compile from tracing the work on texts.
    """

    def __init__(
        self,
        rewards: Sequence[CheckedReward],
        share: float,
        decode: Callable[[Tensor], list[str]],
        compiled: bool = False,
    ) -> None:
        self.rewards, self.share, self.decode = rewards, share, decode
        self.total = sum(each.weight for each in rewards)
        self._paid = torch.compiler.disable(self._pay) if compiled else self._pay

    def __call__(self, cost: Cost, batch: Batch) -> Cost:
        """Return the cost -(1 - share) D - share O. A cost per position gets the reward of its text at each position,
        so that its mean over them is the reward.

        Raises UsageError when it is asked for the cost of relaxed one-hots, which are no text.
        """

        def mixed(sequence: Tensor, mask: Tensor) -> Tensor:
            if sequence.is_floating_point():
                raise UsageError("a reward reads texts, and this estimator gives relaxed words; choose reinforce")
            paid = self._paid(sequence, batch)
            if self.share == 1:
                return -paid
            own = cost(sequence, mask)
            if "discriminator_reward" not in batch.metrics:
                batch.log("discriminator_reward", -per_sequence(own, mask).mean())
            return (1 - self.share) * own - self.share * (paid if own.dim() == 1 else paid[:, None])

        return mixed

    def _pay(self, sequence: Tensor, batch: Batch) -> Tensor:
        """Return O for ids (N, T), as (N,), and log the mean of each reward over the first texts of a batch.

        An estimator asks for the cost of whole samples first, and of rollouts later.
        """
        texts = self.decode(sequence)
        columns = columns_of(batch, len(texts))
        paid = torch.zeros(len(texts))
        for each in self.rewards:
            values = torch.tensor(each(texts, columns))
            if (name := f"reward.{each.name}") not in batch.metrics:
                batch.log(name, values.mean())
            paid += each.weight / self.total * values
        return paid.to(sequence.device)


def columns_of(batch: Batch, rows: int) -> Columns:
    """Return the further columns for ``rows`` sequences, of which row i belongs to row i % B of the batch."""
    return {name: [*values] * (rows // len(values)) for name, values in batch.columns.items()}
