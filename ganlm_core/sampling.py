"""Drawing token sequences from a generator: one way for every generator, with a policy; relaxed samples; rollouts.

``<pad>`` and ``<bos>`` are never drawn: they have probability zero under every generator, here and in every
likelihood. After ``<eos>`` a sequence is padded, and the padding has log-probability zero.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlm_core.devices import asynchronous
from ganlm_core.errors import UsageError
from ganlm_core.protocol import (
    BOS,
    EOS,
    PAD,
    AutoregressiveGenerator,
    Generator,
    Sequences,
    State,
    mask_of,
)


@dataclass(frozen=True)
class Policy:
    """How tokens are drawn from logits: temperature, then the ``top_k`` likeliest, then the ``top_p`` nucleus.

    ``top_k = 0`` and ``top_p = 1`` leave the distribution whole. Nucleus: Holtzman et al. 2020, section 3.1.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


PLAIN = Policy()

LARGE = 1024
"""Words from which on a vocabulary is searched in blocks."""

BLOCK = 128
"""Words in a block: about the square root of ten thousand words, so that blocks and words in them are equally few."""

LOG2_E = math.log2(math.e)

BELOW_ONE = 1 - 2**-23
"""The product of this and any number is less than the number, in float32 too."""

LOGITS = 2**22
"""Logits that a likelihood computes at once. The system takes back an allocation of more than 32 MB as soon as it is
freed and clears it for the next one, which doubles the time of a likelihood over thousands of words."""

CACHED = 2**20
"""Logits of a large vocabulary that each core of a CPU draws from at once: its cache has room for them."""


@dataclass(frozen=True)
class Sample:
    """Drawn ids (B, T), their mask, and the log-probability of each under the policy.

    That of the padding and of a prompt, which nobody drew, is zero.
    """

    tokens: Tensor
    mask: Tensor
    log_probs: Tensor


def log_probabilities(logits: Tensor, policy: Policy = PLAIN) -> Tensor:
    """Logits (..., V) to normalised log-probabilities (..., V) in float32 under the policy."""
    return _under(policy, logits).log_softmax(dim=-1)


def _under(policy: Policy, logits: Tensor) -> Tensor:
    """Logits (..., V) as the policy leaves them, in float32."""
    logits = _without_specials(logits.float())
    if policy.temperature != 1.0:
        logits = logits / policy.temperature
    if 0 < policy.top_k < logits.shape[-1]:
        threshold = logits.topk(policy.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < threshold, float("-inf"))
    if policy.top_p < 1.0:
        logits = _nucleus(logits, policy.top_p)
    return logits


def _without_specials(logits: Tensor) -> Tensor:
    blocked = torch.zeros(logits.shape[-1], dtype=logits.dtype, device=logits.device)
    blocked[: BOS + 1] = float("-inf")
    return logits + blocked


def _nucleus(logits: Tensor, top_p: float) -> Tensor:
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    outside = probabilities.cumsum(dim=-1) - probabilities >= top_p
    return logits.masked_fill(outside.scatter(-1, order, outside), float("-inf"))


@torch.no_grad()
def draw(
    logits: Tensor, policy: Policy = PLAIN, rng: torch.Generator | None = None, samples: int = 1
) -> tuple[Tensor, Tensor]:
    """Ids (samples, ...) for each row of logits (..., V), and the log-probability of each.

    By inverse-CDF search with one uniform number for each id.
    """
    uniform = torch.rand((samples, *logits.shape[:-1]), generator=rng, device=logits.device).movedim(0, -1)
    if logits.shape[-1] < LARGE:
        distribution = log_probabilities(logits, policy)
        cumulative = distribution.exp().cumsum(dim=-1)
        ids = _search(cumulative, uniform * cumulative[..., -1:])
        log_probs = distribution.gather(-1, ids)
    else:
        rows = _rows_at_once(logits.shape[-1], logits.device)
        parts = zip(*(each.reshape(-1, each.shape[-1]).split(rows) for each in (logits, uniform)), strict=True)
        found = [_search_blocks(policy, *part) for part in parts]
        ids, log_probs = (torch.cat(each).view(uniform.shape) for each in zip(*found, strict=True))
    return ids.movedim(-1, 0), log_probs.movedim(-1, 0)


def _search(cumulative: Tensor, weight: Tensor) -> Tensor:
    """The words in whose shares of the cumulative weights (..., V) the weights (..., samples) fall."""
    # One that was rounded up to the whole would fall behind the last word that has any weight.
    weight = torch.minimum(weight, cumulative[..., -1:] * BELOW_ONE)
    # NaN, which nobody may have looked at yet, falls behind all words; on CUDA that would end the process.
    return torch.searchsorted(cumulative, weight.contiguous(), right=True).clamp_(max=cumulative.shape[-1] - 1)


def _rows_at_once(vocabulary: int, device: torch.device) -> int:
    """How many rows of logits (..., V) are best worked on at once."""
    fits_cache = vocabulary >= LARGE and not asynchronous(device)
    return max(1, (CACHED * torch.get_num_threads() if fits_cache else LOGITS) // vocabulary)


def _search_blocks(policy: Policy, logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """The same search from logits (R, V): for the block of words by their sums, then in that block alone.

    Only maximum, exponential and sum see all words; exp2 takes half the time of exp. Without a policy the special words
    are hidden here, which saves a pass. Gives ids and log-probabilities.
    """
    logits = logits.float() if policy == PLAIN else _under(policy, logits)
    rows, words = logits.shape
    count = -(-words // BLOCK)
    highest = logits[:, BOS + 1 :].amax(dim=-1, keepdim=True)
    weights = logits.new_empty(rows, count * BLOCK)
    exponents = torch.add(-LOG2_E * highest, logits, alpha=LOG2_E, out=weights[:, :words])
    torch.exp2(exponents, out=exponents)
    weights[:, : BOS + 1] = weights[:, words:] = 0
    cumulative = logits.new_zeros(rows, 1 + count)  # what lies before each block, and the whole
    torch.cumsum(weights.view(rows, count, BLOCK).sum(dim=-1), dim=-1, out=cumulative[:, 1:])
    total = cumulative[:, -1:]
    weight = uniform * total
    block = _search(cumulative, weight).sub_(1)  # the first of them is zero
    weight = weight - cumulative.gather(-1, block)
    first = torch.arange(0, rows * count, count, device=logits.device).unsqueeze(-1)
    within = weights.view(-1, BLOCK).index_select(0, (first + block).flatten()).cumsum(dim=-1)
    ids = _search(within, weight.reshape(-1, 1)).view(block.shape).add_(block, alpha=BLOCK).clamp_(max=words - 1)
    return ids, logits.gather(-1, ids) - highest - total.log()


@torch.no_grad()
def sample(
    generator: Generator,
    noise: Tensor,
    policy: Policy = PLAIN,
    rng: torch.Generator | None = None,
    prompt: Tensor | None = None,
    samples: int = 1,
) -> Sample:
    """Draw ``samples`` sequences for each row of noise (B, Z). Without ``rng`` the global random state is used.

    Row i of all of them belongs to row i % B of the noise. They begin with the ids of ``prompt``, (P,) for all of them
    or one row for each, and the rest is drawn from what the generator makes of these; a row whose prompt has ``<eos>``
    is finished. Raises UsageError for a prompt that leaves nothing to draw, and for a generator that is not
    autoregressive.
    """
    repeated = noise.repeat(samples, 1)
    forced = _forced(generator, repeated, prompt)
    if isinstance(generator, AutoregressiveGenerator):
        tokens, log_probs = _one_by_one(generator, repeated, policy, rng, forced)
    else:
        tokens, log_probs = _all_at_once(generator, noise, policy, rng, samples)
    mask = mask_of(tokens)
    return Sample(tokens.masked_fill(~mask, PAD), mask, log_probs.masked_fill(~mask, 0.0))


def _all_at_once(
    generator: Generator, noise: Tensor, policy: Policy, rng: torch.Generator | None, samples: int
) -> tuple[Tensor, Tensor]:
    """Tokens and the log-probability of each, (samples * B, T); part of the batch at a time for a large vocabulary."""
    shape, rows = generator.shape, len(noise)
    if shape.vocabulary >= LARGE:
        rows = max(1, LOGITS // (shape.vocabulary * shape.length))
    drawn = [draw(generator(part), policy, rng, samples) for part in noise.split(rows)]
    tokens, log_probs = (torch.cat(parts, dim=1).flatten(0, 1) for parts in zip(*drawn, strict=True))
    return tokens, log_probs


def _one_by_one(
    generator: AutoregressiveGenerator,
    noise: Tensor,
    policy: Policy,
    rng: torch.Generator | None,
    forced: Tensor,
) -> tuple[Tensor, Tensor]:
    """Tokens and the log-probability of each, (B, T), from the logits (B', V) of the rows that have not ended.

    Half of the positions of a batch and more are often behind an ``<eos>``, and a large vocabulary makes each dear.
    What stands behind an ``<eos>`` means nothing.
    """
    tokens = F.pad(forced, (0, generator.shape.length - forced.shape[1]), value=PAD)
    log_probs = torch.zeros(tokens.shape, device=noise.device)
    state, last = generator.start(noise), torch.full((noise.shape[0],), BOS, device=noise.device)
    for column in forced.unbind(dim=1):
        _, state = generator.step(last, state)
        last = column
    rows = torch.arange(len(noise), device=noise.device)
    going_on = _going_on((forced == EOS).any(dim=1))
    for position in range(forced.shape[1], generator.shape.length):
        if len(going_on) < len(rows):
            rows, last, state = rows[going_on], last[going_on], select_rows(state, going_on)
        if len(rows) == 0:
            break
        logits, state = generator.step(last, state)
        (last,), (found,) = draw(logits, policy, rng)
        tokens[:, position].scatter_(0, rows, last)
        log_probs[:, position].scatter_(0, rows, found)
        going_on = _going_on(last == EOS)
    return tokens, log_probs


def _going_on(ended: Tensor) -> Tensor:
    """The numbers of the rows that have not ended; of all (B,) where looking would wait for the device."""
    if asynchronous(ended.device):
        return torch.arange(len(ended), device=ended.device)
    return (~ended).nonzero().squeeze(1)


def _forced(generator: Generator, noise: Tensor, prompt: Tensor | None) -> Tensor:
    """The prompt for every row: ids (B, P), with P = 0 for none."""
    if prompt is None or prompt.shape[-1] == 0:
        return torch.empty(len(noise), 0, dtype=torch.int64, device=noise.device)
    if not generator.autoregressive:
        raise UsageError(
            "this generator writes all positions at once, so it cannot go on from a prompt; "
            "an autoregressive one, which writes word by word, can"
        )
    if prompt.shape[-1] >= generator.shape.length:
        raise UsageError(
            f"the prompt has {prompt.shape[-1]} tokens, and a sequence of this generator has {generator.shape.length} "
            "at most; give a shorter one"
        )
    return prompt.to(noise.device).expand(len(noise), -1)


def unroll(
    generator: Generator, noise: Tensor, choose: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """What ``choose`` makes of the logits of every position: all at once (B, T, V), or one after the other (B, V).

    ``choose`` gives the tokens, ids (...,) or relaxed (..., V), that an autoregressive generator goes on from, and
    another tensor to keep. Both come back over all positions.
    """
    if not isinstance(generator, AutoregressiveGenerator):
        return choose(generator(noise))
    state, last = generator.start(noise), torch.full((noise.shape[0],), BOS, device=noise.device)
    chosen = []
    for _ in range(generator.shape.length):
        logits, state = generator.step(last, state)
        last, kept = choose(logits)
        chosen.append((last, kept))
    sequence, others = zip(*chosen, strict=True)
    return torch.stack(sequence, dim=1), torch.stack(others, dim=1)


def relaxed_sample(
    generator: Generator,
    noise: Tensor,
    temperature: float,
    *,
    hard: bool = False,
    gumbel: bool = True,
    feed_drawn: bool = False,
) -> Sequences:
    """Gumbel-softmax samples (B, T, V), differentiable in the generator (Jang et al. 2017, eq. 2).

    ``hard``: one-hots forward, with the gradient of the softmax (section 2.2). Without ``gumbel`` noise it is the
    softmax itself. The mask follows the likeliest words of the sample; beyond it the sequence is ``<pad>`` and carries
    no gradient. An autoregressive generator is fed its relaxed tokens, so that the gradient passes through the whole
    sequence; with ``feed_drawn`` it is fed the drawn ones, which are what it knows, and the gradient of a position
    passes through its own logits alone.
    """

    def choose(logits: Tensor) -> tuple[Tensor, Tensor]:
        scores = logits.float() - _minus_gumbel(logits) if gumbel else _without_specials(logits.float())
        soft = (scores if temperature == 1.0 else scores / temperature).softmax(dim=-1)
        ids = _likeliest(soft)
        relaxed = _straight_through(soft, ids) if hard else soft
        return (ids, relaxed) if feed_drawn else (relaxed, ids)

    fed, kept = unroll(generator, noise, choose)
    sequence, ids = (kept, fed) if feed_drawn else (fed, kept)
    mask = mask_of(ids)
    padding = (torch.arange(sequence.shape[-1], device=noise.device) == PAD).to(sequence.dtype)
    kept = mask.unsqueeze(-1).to(sequence.dtype)
    return Sequences(torch.lerp(padding, sequence, kept), mask)  # exact, in half the time of torch.where


def _likeliest(soft: Tensor) -> Tensor:
    """The first word of the highest probability, as ``argmax`` of (..., V) gives it: (...,).

    By the maxima of blocks, of which the last may overlap the one before it: PyTorch vectorises a maximum and not its
    place, which takes eight times as long.
    """
    words = soft.shape[-1]
    if words < LARGE:
        return soft.argmax(dim=-1)
    maxima = soft.unfold(-1, BLOCK, BLOCK).amax(dim=-1), soft[..., -BLOCK:].amax(dim=-1, keepdim=True)
    start = (torch.cat(maxima, dim=-1).argmax(dim=-1, keepdim=True) * BLOCK).clamp(max=words - BLOCK)
    block = soft.gather(-1, start + torch.arange(BLOCK, device=soft.device))
    return start.squeeze(-1) + block.argmax(dim=-1)


def _minus_gumbel(logits: Tensor) -> Tensor:
    """Gumbel noise (..., V) to subtract from logits; so much of it that the special words are never drawn."""
    noise = torch.rand_like(logits, dtype=torch.float32).log_().neg_().log_()
    noise[..., : BOS + 1] = torch.inf
    return noise


def _straight_through(soft: Tensor, ids: Tensor) -> Tensor:
    """The one-hots of ids (...,) with the gradient of ``soft`` (..., V)."""
    return F.one_hot(ids, soft.shape[-1]) + (soft - soft.detach())


def log_likelihood(generator: Generator, noise: Tensor, tokens: Tensor, mask: Tensor, policy: Policy = PLAIN) -> Tensor:
    """log p(token | noise, tokens before it) of ids (N, T) as (N, T), zero where the mask is false. Differentiable.

    N may be any multiple of the B rows of noise, of which row i belongs to row i % B. p is the distribution that is
    drawn from under the policy.
    """
    if generator.autoregressive:
        noise = noise.repeat(len(tokens) // len(noise), 1)
    return of_tokens(log_probabilities(generator(noise, tokens), policy), tokens, mask)


def log_marginal(generator: Generator, noise: Tensor, tokens: Tensor, mask: Tensor, policy: Policy = PLAIN) -> Tensor:
    """As :func:`log_marginals` under one policy: (B,)."""
    return log_marginals(generator, noise, tokens, mask, [policy])[0]


@torch.no_grad()
def log_marginals(
    generator: Generator, noise: Tensor, tokens: Tensor, mask: Tensor, policies: Sequence[Policy]
) -> Tensor:
    """log of the mean of p(tokens | noise) over K draws of the noise (K, B, Z), for ids (B, T): (policies, B).

    Exact for generators without noise. Otherwise by Jensen's inequality too low on average as log p(tokens), the less
    so the larger K (Burda et al. 2016, theorem 1, with the prior as the proposal).
    """
    lengths = mask.sum(dim=1)
    scores = torch.empty(len(policies), *noise.shape[:2], device=tokens.device)
    rows = max(1, LOGITS // (tokens.shape[1] * generator.shape.vocabulary))
    for part in lengths.argsort().split(rows):  # by length, so that little padding is scored
        upto = slice(int(lengths[part].max()))
        for k, each in enumerate(noise):
            logits = generator(each[part], tokens[part, upto])
            for place, policy in enumerate(policies):
                found = of_tokens(log_probabilities(logits, policy), tokens[part, upto], mask[part, upto])
                scores[place, k, part] = found.sum(dim=1)
    return scores.logsumexp(dim=1) - math.log(len(noise))


def of_tokens(distribution: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """What log-probabilities (B, T, V) say of ids (N, T), rows i of i % B: (N, T), zero where the mask is false."""
    ids = tokens.masked_fill(~mask, EOS).unflatten(0, (-1, len(distribution))).movedim(0, -1)
    return torch.where(mask, distribution.gather(-1, ids).movedim(-1, 0).flatten(0, 1), 0.0)


@torch.no_grad()
def rollouts(generator: AutoregressiveGenerator, noise: Tensor, tokens: Tensor, samples: int) -> Tensor:
    """Monte Carlo completions of every prefix (Yu et al. 2017, eq. 4): ids (B, T) to ids (T - 1, samples, B, T).

    Entry [t] keeps ``tokens[:, :t + 1]`` and draws the rest. All of them ride in one batch behind the sequences
    themselves: each starts from the state that its prefix reached, so no prefix is run twice, and leaves at ``<eos>``.
    """
    rows, length = tokens.shape
    device = tokens.device
    kept = torch.ones(length - 1, length, dtype=torch.bool, device=device).tril()
    completed = torch.where(kept[:, None, None], tokens, PAD).repeat(1, samples, 1, 1)
    entries = completed.view(-1, length)
    prefixes = torch.arange(rows, device=device)  # the rows of tokens that have not ended
    open_entries = prefixes[:0]  # the rows of entries that have not ended
    state, last = generator.start(noise), torch.full_like(tokens[:, 0], BOS)
    for position in range(length):
        drawn, state = _next_words(generator, last, state, len(prefixes))
        entries[open_entries, position] = drawn
        last = torch.cat([tokens[prefixes, position], drawn])
        going_prefixes, going_entries = map(_going_on, (last == EOS).tensor_split([len(prefixes)]))
        if position == length - 1 or len(going_prefixes) + len(going_entries) == 0:
            break
        batch = torch.cat([going_prefixes, len(prefixes) + going_entries, going_prefixes.repeat(samples)])
        prefixes = prefixes[going_prefixes]
        first = (position * samples + torch.arange(samples, device=device)) * rows
        open_entries = torch.cat([open_entries[going_entries], (first[:, None] + prefixes).flatten()])
        state, last = select_rows(state, batch), last[batch]
    return completed.masked_fill_(~mask_of(completed.flatten(0, 2)).view(completed.shape), PAD)


def _next_words(generator: AutoregressiveGenerator, last: Tensor, state: State, given: int) -> tuple[Tensor, State]:
    """What comes after the last words (B,), drawn for all rows but the ``given`` first; and the state after these.

    For thousands of words, parts of the batch cost half as much as the whole.
    """
    rows = _rows_at_once(generator.shape.vocabulary, last.device)
    drawn, states = [], []
    for first in range(0, len(last), rows):
        part = slice(first, first + rows)
        logits, after = generator.step(last[part], map_state(lambda each: each[part], state))  # noqa: B023
        (words,), _ = draw(logits[max(0, given - first) :])
        drawn.append(words)
        states.append(after)
    return torch.cat(drawn), states[0] if len(states) == 1 else map_state(lambda *parts: torch.cat(parts), *states)


def select_rows(state: State, rows: Tensor) -> State:
    """The state of these rows of the batch, in this order, or of those where a mask is true."""
    return map_state(lambda part: part[rows], state)


def map_state(function: Callable[..., Tensor], *states: State) -> State:
    """The state with ``function`` applied to each of its tensors, or to those of several states in the same place.

    Numbers stay as they are in the first.
    """
    state = states[0]
    if isinstance(state, int):
        return state
    if isinstance(state, Tensor):
        return function(*states)
    if isinstance(state, dict):
        return {key: map_state(function, *(each[key] for each in states)) for key in state}
    if isinstance(state, tuple | list):
        return type(state)(map_state(function, *parts) for parts in zip(*states, strict=True))
    raise TypeError(f"a state holds tensors and ints in tuples, lists and dicts; this one has {type(state).__name__}")
