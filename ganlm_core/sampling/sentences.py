"""Sampling of sentences from a generator, and of completions of their prefixes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core.errors import UsageError
from ganlm_core.layers import reads_out
from ganlm_core.protocol import BOS, EOS, PAD, AutoregressiveGenerator, Generator, State, mask_of
from ganlm_core.sampling.drawing import LOGITS, MANY_WORDS, PLAIN, Policy, ReadoutWords, draw, rows_at_once
from ganlm_core.sampling.fused import fuses
from ganlm_core.sampling.stratified import Points, decode, even_points
from ganlm_core.system.devices import asynchronous


@dataclass(frozen=True)
class Sample:
    """Drawn ids (B, T), their mask, and the log-probability of each id under the policy.

    Padding and the ids of a prompt are not drawn; their log-probability is zero.
    """

    tokens: Tensor
    mask: Tensor
    log_probs: Tensor


@torch.no_grad()
def sample(
    generator: Generator,
    noise: Tensor,
    policy: Policy = PLAIN,
    rng: torch.Generator | None = None,
    prompt: Tensor | None = None,
    samples: int = 1,
    stratified: bool = False,
) -> Sample:
    """Draw ``samples`` sentences for each row of noise (B, Z). Without ``rng`` the global random state is used.

    Row i of the result belongs to row i % B of the noise. Sentences begin with the ids of ``prompt``: (P,) for all
    rows, or a row for each of the noise, (B, P), padded where it is shorter. The generator continues them, unless the
    prompt has ``<eos>``. ``stratified``: every sentence has the same distribution, but they are not independent of each
    other; their word frequencies are closer to the probabilities (:mod:`ganlm_core.sampling.stratified`). Raises
    UsageError for a prompt that leaves nothing to draw, and for a prompt or stratified sentences with a generator that
    is not autoregressive.
    """
    repeated = noise.repeat(samples, 1)
    forced = _forced(generator, repeated, prompt)
    if isinstance(generator, AutoregressiveGenerator):
        points = even_points(len(noise), samples, noise.device, rng) if stratified else None
        tokens, log_probs = generator.untraced(_one_by_one, repeated, policy, rng, forced, points)
    elif stratified:
        raise UsageError(
            "stratified samples differ word by word, and this generator writes all positions at once; "
            "use an autoregressive generator"
        )
    else:
        tokens, log_probs = _all_at_once(generator, noise, policy, rng, samples)
    mask = mask_of(tokens)
    return Sample(tokens.masked_fill(~mask, PAD), mask, log_probs.masked_fill(~mask, 0.0))


def _all_at_once(
    generator: Generator, noise: Tensor, policy: Policy, rng: torch.Generator | None, samples: int
) -> tuple[Tensor, Tensor]:
    """Return tokens and the log-probability of each, (samples * B, T); a large vocabulary takes parts of the batch."""
    rows = max(1, LOGITS // (generator.shape.vocabulary * generator.shape.length))
    drawn = [draw(generator(part), policy, rng, samples) for part in noise.split(rows)]
    tokens, log_probs = (torch.cat(parts, dim=1).flatten(0, 1) for parts in zip(*drawn, strict=True))
    return tokens, log_probs


def _one_by_one(
    generator: AutoregressiveGenerator,
    noise: Tensor,
    policy: Policy,
    rng: torch.Generator | None,
    forced: Tensor,
    points: Points | None = None,
) -> tuple[Tensor, Tensor]:
    """Return tokens and the log-probability of each, (B, T), from the logits (B', V) of the rows that have not ended.

    Often more than half of the positions of a batch come after an ``<eos>``, and each costs time in a large vocabulary.
    The values after an ``<eos>`` have no meaning.
    """
    tokens = F.pad(forced, (0, generator.shape.length - forced.shape[1]), value=PAD)
    log_probs = torch.zeros(tokens.shape, device=noise.device)
    state, last = generator.start(noise), torch.full((noise.shape[0],), BOS, device=noise.device)
    write, shortest = _next_word_drawer(generator, policy, rng, points), _shortest(forced)
    for column in forced[:, :shortest].unbind(dim=1):
        _, state = generator.step(last, state)
        last = column
    if points is not None:
        state = points, state
    rows = torch.arange(len(noise), device=noise.device)
    going_on = _going_on((forced[:, :shortest] == EOS).any(dim=1))
    for position in range(shortest, generator.shape.length):
        if len(going_on) < len(rows):
            rows, last, state = rows[going_on], last[going_on], select_rows(state, going_on)
        if len(rows) == 0:
            break
        last, found, state = write(last, state, 0)
        if position < forced.shape[1]:
            given = forced[rows, position]
            last, found = torch.where(given == PAD, last, given), found.where(given == PAD, 0.0)
        tokens[:, position].scatter_(0, rows, last)
        log_probs[:, position].scatter_(0, rows, found)
        going_on = _going_on(last == EOS)
    return tokens, log_probs


NextWordDrawer = Callable[[Tensor, State, int], tuple[Tensor, Tensor, State]]
"""(last words (B,), state, given) -> the next words of all but the ``given`` first rows, their log-probabilities, the
next state."""


def _next_word_drawer(
    generator: AutoregressiveGenerator,
    policy: Policy = PLAIN,
    rng: torch.Generator | None = None,
    points: Points | None = None,
) -> NextWordDrawer:
    """Return the function that draws the next words, from states instead of logits where this is faster.

    With ``points``, which are then in the state, it decodes them.
    """

    def from_logits(last: Tensor, state: State, given: int) -> tuple[Tensor, Tensor, State]:
        logits, state = generator.step(last, state)
        (words,), (log_probs,) = draw(logits[given:], policy, rng)
        return words, log_probs, state

    def from_points(last: Tensor, state: State, given: int) -> tuple[Tensor, Tensor, State]:
        numbers, state = state
        logits, state = generator.step(last, state)
        words, log_probs, numbers = decode(logits, numbers, policy, rng)
        return words, log_probs, (numbers, state)

    if points is not None:
        return from_points
    many = generator.shape.vocabulary >= MANY_WORDS
    if not (many and policy == PLAIN and reads_out(generator) and fuses(generator.prior.device)):
        return from_logits
    readout = ReadoutWords(*generator.readout())

    def from_states(last: Tensor, state: State, given: int) -> tuple[Tensor, Tensor, State]:
        states, state = generator.read_next(last, state)
        return *readout.draw(states[given:], rng), state

    return from_states


def _shortest(forced: Tensor) -> int:
    """Return the number of first columns of prompts (B, P) in which no row has to be drawn.

    Reading it would wait for an asynchronous device; there it is 0, and drawn words give way to those of prompts.
    """
    if asynchronous(forced.device):
        return 0
    known = (forced != PAD) | (forced == EOS).cumsum(dim=1).bool()
    return int(known.all(dim=0).sum()) if forced.numel() else forced.shape[1]


def _going_on(ended: Tensor) -> Tensor:
    """Return the indices of the rows that have not ended, or of all (B,) if reading them would wait for the device."""
    if asynchronous(ended.device):
        return torch.arange(len(ended), device=ended.device)
    return (~ended).nonzero().squeeze(1)


def _forced(generator: Generator, noise: Tensor, prompt: Tensor | None) -> Tensor:
    """Return the prompt of every row: ids (B, P), with P = 0 for no prompt."""
    if prompt is None or prompt.shape[-1] == 0:
        return torch.empty(len(noise), 0, dtype=torch.int64, device=noise.device)
    if not generator.autoregressive:
        raise UsageError(
            "this generator writes all positions at once, so it cannot continue a prompt; "
            "use an autoregressive generator, which writes word by word"
        )
    if prompt.shape[-1] >= generator.shape.length:
        raise UsageError(
            f"the prompt has {prompt.shape[-1]} tokens, and a sequence of this generator has {generator.shape.length} "
            "at most; give a shorter one"
        )
    prompt = prompt.to(noise.device)
    return prompt.expand(len(noise), -1) if prompt.dim() == 1 else prompt.repeat(len(noise) // len(prompt), 1)


@torch.no_grad()
def rollouts(generator: AutoregressiveGenerator, noise: Tensor, tokens: Tensor, samples: int) -> Tensor:
    """Return Monte Carlo completions of every prefix (Yu et al. 2017) of ids (B, T): (T - 1, samples, B, T).

    Entry [t] keeps ``tokens[:, :t + 1]`` and draws the rest. All entries are in one batch after the sequences
    themselves. Each entry starts from the state of its prefix, so no prefix is run twice, and leaves the batch at
    ``<eos>``.
    """
    rows, length = tokens.shape
    device = tokens.device
    kept = torch.ones(length - 1, length, dtype=torch.bool, device=device).tril()
    completed = torch.where(kept[:, None, None], tokens, PAD).repeat(1, samples, 1, 1)
    entries = completed.view(-1, length)
    prefixes = torch.arange(rows, device=device)  # the rows of tokens that have not ended
    open_entries = prefixes[:0]  # the rows of entries that have not ended
    state, last = generator.start(noise), torch.full_like(tokens[:, 0], BOS)
    write = _next_word_drawer(generator)
    for position in range(length):
        drawn, state = _next_words(write, rows_at_once(generator.shape.vocabulary, device), last, state, len(prefixes))
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


def _next_words(write: NextWordDrawer, rows: int, last: Tensor, state: State, given: int) -> tuple[Tensor, State]:
    """Draw the words after the last words (B,), except for the first ``given`` rows; return them and the new state.

    With thousands of words, processing parts of ``rows`` of the batch takes half the time.
    """
    drawn, states = [], []
    for first in range(0, len(last), rows):
        part = slice(first, first + rows)
        words, _, after = write(last[part], map_state(lambda each: each[part], state), max(0, given - first))  # noqa: B023
        drawn.append(words)
        states.append(after)
    return torch.cat(drawn), states[0] if len(states) == 1 else map_state(lambda *parts: torch.cat(parts), *states)


def select_rows(state: State, rows: Tensor) -> State:
    """Return the state of these rows of the batch, in this order; or of the rows where a mask is true."""
    return map_state(lambda part: part[rows], state)


def map_state(function: Callable[..., Tensor], *states: State) -> State:
    """Return the state with ``function`` applied to each tensor, or to the tensors at one place of several states.

    Numbers are taken from the first state.
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
