"""Drawing words from logits: the policy, the distribution under the policy, and the search for a word."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core.errors import OptionError
from ganlm_core.protocol import BOS
from ganlm_core.system.arguments import real, whole
from ganlm_core.system.devices import asynchronous

COLDEST, HOTTEST = 1e-4, 1e30
"""A policy is greedy below and uniform above these temperatures, because logits divided by them overflow or vanish in
float32."""


@dataclass(frozen=True)
class Policy:
    """A way to draw tokens from logits: temperature, then the ``top_k`` likeliest, then the ``top_p`` nucleus.

    ``top_k = 0`` and ``top_p = 1`` leave the distribution whole. Words as likely as the k-th stay too. Nucleus:
    Holtzman et al. 2020, section 3.1. A temperature below COLDEST becomes ``top_k = 1``, one above HOTTEST becomes
    HOTTEST. Raises OptionError for a value of a wrong type or out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", real("temperature", self.temperature))
        object.__setattr__(self, "top_k", whole("top_k", self.top_k))
        object.__setattr__(self, "top_p", real("top_p", self.top_p))
        wanted = {
            f"temperature is {self.temperature}; wanted a number above 0": self.temperature > 0,
            f"top_p is {self.top_p}; wanted a number above 0 and at most 1": 0 < self.top_p <= 1,
        }
        for message, holds in wanted.items():
            if not holds:
                raise OptionError(message)
        if self.temperature < COLDEST:
            object.__setattr__(self, "temperature", 1.0)
            object.__setattr__(self, "top_k", 1)
        object.__setattr__(self, "temperature", min(self.temperature, HOTTEST))


PLAIN = Policy()

BLOCK = 128
"""Words in a block: about the square root of ten thousand words, which balances the two searches."""

MANY_WORDS = 2048
"""From this vocabulary size on, a search in blocks of words is faster than one over all words. For 64 rows on one
thread: 0.20 ms against 0.06 ms at 200 words, 0.26 against 0.19 at 1,500, 0.49 against 0.52 at 5,000, 0.55 against 0.97
at 10,000."""

LOG2_E = math.log2(math.e)

BELOW_ONE = 1 - 2**-23
"""A factor that makes any positive number smaller, also in float32."""

LOGITS = 2**22
"""Logits that a likelihood, or a drawing of whole sentences, computes at once. This bounds its memory; larger parts are
at most a tenth faster."""

CACHED = 2**20
"""Logits that each core of a CPU draws from at once: they fit into its cache."""


def log_probabilities(logits: Tensor, policy: Policy = PLAIN) -> Tensor:
    """Return the log-probabilities (..., V) of logits (..., V) under the policy, normalised, at least in float32."""
    return _under(policy, logits).log_softmax(dim=-1)


def _under(policy: Policy, logits: Tensor) -> Tensor:
    """Return the logits (..., V) under the policy, in float32, or in float64 as they are."""
    logits = without_specials(logits if logits.dtype == torch.float64 else logits.float())
    if policy.temperature != 1.0:
        logits = logits / policy.temperature
    if 0 < policy.top_k < logits.shape[-1]:
        threshold = logits.topk(policy.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < threshold, float("-inf"))
    if policy.top_p < 1.0:
        logits = _nucleus(logits, policy.top_p)
    return logits


def without_specials(logits: Tensor) -> Tensor:
    """Return logits (..., V) with minus infinity for the special words that are never drawn."""
    blocked = torch.zeros(logits.shape[-1], dtype=logits.dtype, device=logits.device)
    blocked[: BOS + 1] = float("-inf")
    return logits + blocked


def _nucleus(logits: Tensor, top_p: float) -> Tensor:
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    outside = probabilities.cumsum(dim=-1) - probabilities >= top_p
    outside[..., 0] = False  # the likeliest word stays, also where top_p is zero in float32
    return logits.masked_fill(outside.scatter(-1, order, outside), float("-inf"))


@torch.no_grad()
def draw(
    logits: Tensor, policy: Policy = PLAIN, rng: torch.Generator | None = None, samples: int = 1
) -> tuple[Tensor, Tensor]:
    """Draw ids (samples, ...) for each row of logits (..., V); return them and the log-probability of each.

    Each id is found by a search of the inverse CDF with one uniform number.
    """
    uniform = torch.rand((samples, *logits.shape[:-1]), generator=rng, device=logits.device).movedim(0, -1)
    rows = rows_at_once(logits.shape[-1], logits.device)
    parts = zip(*(each.reshape(-1, each.shape[-1]).split(rows) for each in (logits, uniform)), strict=True)
    found = [_draw_rows(policy, *part) for part in parts]
    ids, log_probs = (torch.cat(each).view(uniform.shape) for each in zip(*found, strict=True))
    return ids.movedim(-1, 0), log_probs.movedim(-1, 0)


class ReadoutWords:
    """Draws words straight from states (R, H), by the linear layer (V, H) and (V,) of a generator's logits.

    The layer is prepared once for many draws: exponents to base 2, whole blocks of words, no weight for the special
    words. The product is then the exponent, and everything after it happens in place: for 64 states of 32 units and
    5,000 words a draw takes 0.5 ms instead of 0.8, of which the product takes 0.3.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.words = len(weight)
        padding = -self.words % BLOCK
        self.weight = F.pad(LOG2_E * weight.T, (0, padding))
        self.bias = F.pad(LOG2_E * without_specials(bias), (0, padding), value=-torch.inf)

    def draw(self, states: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw an id (R,) for each state; return them and the log-probability of each."""
        uniform = torch.rand(len(states), 1, generator=rng, device=states.device)
        rows = rows_at_once(self.words, states.device)
        found = [self._draw_rows(*part) for part in zip(states.split(rows), uniform.split(rows), strict=True)]
        ids, log_probs = (torch.cat(each).squeeze(1) for each in zip(*found, strict=True))
        return ids, log_probs

    def _draw_rows(self, states: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        weights = torch.addmm(self.bias, states, self.weight)
        weights.sub_(weights.amax(dim=1, keepdim=True)).exp2_()
        ids, total = _search_blocks(weights, uniform)
        ids.clamp_(max=self.words - 1)
        return ids, (weights.gather(1, ids) / total).log()


def _search(cumulative: Tensor, weight: Tensor) -> Tensor:
    """Return the words whose intervals of the cumulative weights (..., V) hold the weights (..., samples)."""
    # A number that rounds up to the total would select an index after the last word with weight.
    weight = torch.minimum(weight, cumulative[..., -1:] * BELOW_ONE)
    # NaN logits are reported later; here they would give an index out of range, which aborts the process on CUDA.
    return torch.searchsorted(cumulative, weight.contiguous(), right=True).clamp_(max=cumulative.shape[-1] - 1)


def rows_at_once(vocabulary: int, device: torch.device) -> int:
    """Return how many rows of logits (..., V) are fastest to process at once."""
    return max(1, (LOGITS if asynchronous(device) else CACHED * torch.get_num_threads()) // vocabulary)


def _draw_rows(policy: Policy, logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Return ids and log-probabilities (R, samples) for logits (R, V) and as many uniform numbers (R, samples).

    Only maximum, exponential and sum read all words; exp2 takes half the time of exp. Without a policy the special
    words get no weight here, which saves a pass over the logits.
    """
    logits = logits.float() if policy == PLAIN else _under(policy, logits)
    words = logits.shape[-1]
    highest = logits[:, BOS + 1 :].amax(dim=-1, keepdim=True)
    padding = -words % BLOCK if words >= MANY_WORDS else 0
    weights = logits.new_empty(len(logits), words + padding)
    exponents = torch.add(-LOG2_E * highest, logits, alpha=LOG2_E, out=weights[:, :words])
    torch.exp2(exponents, out=exponents)
    weights[:, : BOS + 1] = weights[:, words:] = 0
    ids, total = (_search_blocks if words >= MANY_WORDS else _search_words)(weights, uniform)
    ids.clamp_(max=words - 1)
    return ids, logits.gather(-1, ids) - highest - total.log()


def _search_words(weights: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Return the words (R, samples) at ``uniform`` shares of the weights (R, V), and the row totals (R, 1)."""
    cumulative = weights.cumsum(dim=-1)
    total = cumulative[:, -1:]
    return _search(cumulative, uniform * total), total


def _search_blocks(weights: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Like :func:`_search_words`: find the block of words by the sums of blocks, then the word in that block alone."""
    rows, count = len(weights), weights.shape[-1] // BLOCK
    cumulative = weights.new_zeros(rows, 1 + count)  # the weight before each block, and the total
    torch.cumsum(weights.view(rows, count, BLOCK).sum(dim=-1), dim=-1, out=cumulative[:, 1:])
    total = cumulative[:, -1:]
    weight = uniform * total
    block = _search(cumulative, weight).sub_(1)  # the first of them is zero
    weight = weight - cumulative.gather(-1, block)
    first = torch.arange(0, rows * count, count, device=weights.device).unsqueeze(-1)
    within = weights.view(-1, BLOCK).index_select(0, (first + block).flatten()).cumsum(dim=-1)
    return _search(within, weight.reshape(-1, 1)).view(block.shape).add_(block, alpha=BLOCK), total
