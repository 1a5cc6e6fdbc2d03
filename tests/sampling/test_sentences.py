"""Drawing, against distributions enumerated over every sequence of a three-word vocabulary."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlm_core import sampling
from ganlm_core.errors import UsageError
from ganlm_core.protocol import (
    BOS,
    EOS,
    PAD,
    AutoregressiveGenerator,
    Generator,
    Sequences,
    Shape,
    State,
    mask_of,
)
from ganlm_core.sampling import PLAIN, Policy, drawing, relaxation, sentences
from ganlm_core.sampling.drawing import MANY_WORDS
from tests.tiny import SHAPE, TinyGenerator, TinyOneShot, chi_square, count, every_sequence, likelihoods

INFINITY = float("inf")
NOISE = torch.tensor([[0.7, -1.2]])
DRAWS = 20_000
UNLIKELY = 0.001
"""Draws from another distribution are found out by a chi-square test that lets one right seed in a thousand fail."""

POLICIES = {
    "plain": PLAIN,
    "cold": Policy(temperature=0.5),
    "hot": Policy(temperature=3.0),
    "top-k": Policy(top_k=2),
    "nucleus": Policy(top_p=0.7),
    "all three": Policy(temperature=1.5, top_k=3, top_p=0.8),
}


def make(network: type[Generator], seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return network(SHAPE)


def exact(generator: Generator, policy: Policy = PLAIN, noise: Tensor = NOISE) -> Tensor:
    """The probability (N,) of every sequence there is."""
    tokens, mask = every_sequence()
    logits = generator(noise.expand(len(tokens), -1), tokens)
    return likelihoods(sampling.log_probabilities(logits, policy), tokens, mask).detach()


@pytest.fixture(params=[False, True], ids=["rows leave", "rows stay"])
def whether_rows_stay(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways through a batch: where values are at hand, what has ended leaves it; elsewhere nobody looks."""
    for module in (drawing, sentences):
        monkeypatch.setattr(module, "asynchronous", lambda device: request.param)
    return bool(request.param)


def fixed_uniform(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    monkeypatch.setattr(torch, "rand", lambda size, **_: torch.full(size, value))


def spread(probabilities: list[float], words: int) -> Tensor:
    """Logits of a vocabulary of so many words, in which these probabilities are equally far apart."""
    logits = torch.full((words,), -INFINITY)
    logits[torch.linspace(EOS, words - 1, len(probabilities)).long()] = torch.tensor(probabilities).log()
    return logits


@pytest.fixture(params=[6, MANY_WORDS, 5000], ids=["plain search", "whole blocks", "part of a block"])
def words(request: pytest.FixtureRequest) -> int:
    """Sizes of vocabularies on both sides of the one from which on they are searched in blocks."""
    return int(request.param)


def test_words_are_drawn_as_often_as_they_are_probable(words: int) -> None:
    logits = spread([0.1, 0.0, 0.6, 0.3], words)
    logits[[PAD, BOS]] = 50.0
    (drawn,), _ = sampling.draw(logits.expand(DRAWS, -1), rng=torch.Generator().manual_seed(0))
    probabilities = logits.exp().index_fill(0, torch.tensor([PAD, BOS]), 0.0)
    assert chi_square(drawn.bincount(minlength=words), probabilities) > UNLIKELY


@pytest.mark.parametrize(
    ("uniform", "place"),
    [(0.0, 0), (0.2499, 0), (0.25, 2), (0.4999, 2), (0.5, 3), (1 - 2**-24, 3), (1.0, 3)],
)
def test_the_edges_of_the_inverse_cdf(monkeypatch: pytest.MonkeyPatch, words: int, uniform: float, place: int) -> None:
    """Intervals are closed below and open above; even a device that gives a one, as some do, draws a possible word."""
    fixed_uniform(monkeypatch, uniform)
    ids, _ = sampling.draw(spread([0.25, 0.0, 0.25, 0.5], words))
    assert ids.item() == torch.linspace(EOS, words - 1, 4).long()[place]


def test_drawing_needs_no_exact_sum(monkeypatch: pytest.MonkeyPatch, words: int) -> None:
    """Probabilities whose sum was rounded away from one are shares of that sum."""
    fixed_uniform(monkeypatch, 0.5)
    ids, _ = sampling.draw(spread([0.125, 0.125, 0.125], words))
    assert ids.item() == torch.linspace(EOS, words - 1, 3).long()[1]


def test_every_leading_dimension_is_drawn_for(words: int) -> None:
    certain = torch.full((2, 3, words), -INFINITY)
    ids = torch.tensor([[2, 3, 4], [5, 2, words - 1]])
    certain.scatter_(-1, ids[..., None], 0.0)
    drawn, log_probs = sampling.draw(certain, samples=4)
    assert drawn.equal(ids.expand(4, -1, -1))
    assert (log_probs == 0).all()


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_the_search_in_blocks_draws_what_the_search_of_all_words_does(
    monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    """From the same random numbers, but for words at whose edges the number falls, for sums are rounded otherwise."""
    logits = 3 * torch.randn(500, 3000, generator=torch.Generator().manual_seed(0))
    blocks, block_log_probs = sampling.draw(logits, policy, torch.Generator().manual_seed(1), samples=2)
    monkeypatch.setattr(drawing, "MANY_WORDS", 10_000)
    plain, log_probs = sampling.draw(logits, policy, torch.Generator().manual_seed(1), samples=2)
    assert (blocks == plain).float().mean() > 0.995
    same = blocks == plain
    torch.testing.assert_close(block_log_probs[same], log_probs[same], atol=1e-5, rtol=1e-5)


def probabilities(logits: list[float], **policy: Any) -> list[float]:
    """The distribution over words whose logits are logarithms of the numbers given; pad and bos come first."""
    specials = [50.0, 50.0]
    return sampling.log_probabilities(torch.tensor([*specials, *logits]).log(), Policy(**policy)).exp().tolist()


def shares(*weights: float) -> Any:
    return pytest.approx([0, 0, *(weight / sum(weights) for weight in weights)], abs=1e-6)


def test_pad_and_bos_have_no_probability_and_the_rest_sums_to_one() -> None:
    assert probabilities([4, 2, 1, 1]) == shares(4, 2, 1, 1)


def test_a_temperature_divides_the_logits() -> None:
    assert probabilities([4, 2, 1, 1], temperature=0.5) == shares(16, 4, 1, 1)
    assert probabilities([9, 4, 1], temperature=2.0) == shares(3, 2, 1)


@pytest.mark.parametrize(
    ("weights", "top_k", "left"),
    [
        ([4, 2, 1, 1], 1, [4, 0, 0, 0]),
        ([1, 4, 1, 2], 2, [0, 4, 0, 2]),
        ([4, 2, 1, 1], 3, [4, 2, 1, 1]),
        ([3, 3, 3, 1], 2, [3, 3, 3, 0]),
        ([4, 2, 1, 1], 4, [4, 2, 1, 1]),
        ([4, 2, 1, 1], 0, [4, 2, 1, 1]),
        ([4, 2, 1, 1], 99, [4, 2, 1, 1]),
    ],
)
def test_top_k_keeps_the_likeliest_and_whatever_ties_with_the_last(
    weights: list[float], top_k: int, left: list[float]
) -> None:
    assert probabilities(weights, top_k=top_k) == shares(*left)


@pytest.mark.parametrize(
    ("weights", "top_p", "left"),
    [
        ([4, 2, 1, 1], 0.01, [4, 0, 0, 0]),
        ([4, 2, 1, 1], 0.5, [4, 0, 0, 0]),
        ([4, 2, 1, 1], 0.51, [4, 2, 0, 0]),
        ([1, 4, 1, 2], 0.75, [0, 4, 0, 2]),
        ([4, 2, 1, 1], 0.9, [4, 2, 1, 1]),
        ([4, 2, 1, 1], 1.0, [4, 2, 1, 1]),
    ],
)
def test_a_nucleus_is_the_smallest_set_of_likeliest_words_with_that_much(
    weights: list[float], top_p: float, left: list[float]
) -> None:
    assert probabilities(weights, top_p=top_p) == shares(*left)


def test_a_nucleus_takes_no_more_of_equal_words_than_it_needs() -> None:
    assert sorted(probabilities([1, 1, 1, 1], top_p=0.5)) == pytest.approx([0, 0, 0, 0, 0.5, 0.5])


def test_temperature_comes_before_top_k_and_top_k_before_the_nucleus() -> None:
    assert probabilities([16, 4, 1, 1], temperature=2.0, top_p=0.55) == shares(4, 2, 0, 0)
    assert probabilities([6, 3, 2, 1], top_k=2, top_p=0.6) == shares(6, 0, 0, 0)


def test_half_precision_logits_become_float32() -> None:
    log_probs = sampling.log_probabilities(torch.zeros(4, 1000, dtype=torch.bfloat16))
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(4))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_the_probabilities_of_all_sequences_sum_to_one(network: type[Generator], policy: Policy) -> None:
    assert exact(make(network), policy).sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.usefixtures("whether_rows_stay")
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_sequences_are_drawn_as_often_as_they_are_probable(network: type[Generator], policy: Policy) -> None:
    generator = make(network)
    rng = torch.Generator().manual_seed(1)
    drawn = sampling.sample(generator, NOISE.expand(5 * DRAWS, -1), policy, rng).tokens
    assert chi_square(count(drawn, every_sequence()[0]), exact(generator, policy)) > UNLIKELY


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_a_sample_says_how_probable_each_of_its_tokens_was(network: type[Generator]) -> None:
    generator, noise = make(network), torch.randn(500, SHAPE.noise)
    drawn = sampling.sample(generator, noise)
    scored = sampling.log_likelihood(generator, noise, drawn.tokens, drawn.mask)
    torch.testing.assert_close(drawn.log_probs, scored)
    assert (drawn.log_probs[drawn.mask] < 0).all()


def test_the_log_probabilities_of_a_sample_are_those_of_the_policy() -> None:
    generator, policy, noise = make(TinyGenerator), Policy(top_k=2), NOISE.expand(100, -1)
    drawn = sampling.sample(generator, noise, policy)
    log_probs = sampling.log_probabilities(generator(noise, drawn.tokens), policy)
    expected = likelihoods(log_probs, drawn.tokens, drawn.mask)
    torch.testing.assert_close(drawn.log_probs.sum(dim=1).exp(), expected)


@pytest.mark.usefixtures("whether_rows_stay")
@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_after_eos_there_is_nothing_but_padding(network: type[Generator]) -> None:
    drawn = sampling.sample(make(network), torch.randn(500, SHAPE.noise))
    assert drawn.mask.equal(mask_of(drawn.tokens))
    assert set(drawn.mask.sum(dim=1).tolist()) == {1, 2, 3}
    assert (drawn.tokens[~drawn.mask] == PAD).all()
    assert (drawn.log_probs[~drawn.mask] == 0).all()


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_pad_and_bos_are_never_drawn_however_likely_the_network_finds_them(network: type[Generator]) -> None:
    generator = make(network)
    generator.prior[..., [PAD, BOS]] = 50.0
    noise = torch.randn(500, SHAPE.noise)
    drawn, relaxed = sampling.sample(generator, noise), sampling.relaxed_sample(generator, noise, 1.0, hard=False)
    assert (drawn.tokens[drawn.mask] >= EOS).all()
    assert (relaxed.sequence[relaxed.mask][:, [PAD, BOS]] == 0).all()


def test_a_seeded_sample_is_reproducible_and_leaves_the_global_random_state_alone() -> None:
    generator, noise = make(TinyGenerator), torch.randn(50, SHAPE.noise)
    before = torch.get_rng_state()
    one, same, other = (
        sampling.sample(generator, noise, rng=torch.Generator().manual_seed(seed)).tokens for seed in (7, 7, 8)
    )
    assert one.equal(same)
    assert not one.equal(other)
    assert torch.get_rng_state().equal(before)


def test_without_an_rng_the_global_random_state_decides() -> None:
    generator, noise = make(TinyGenerator), torch.randn(50, SHAPE.noise)
    torch.manual_seed(3)
    one = sampling.sample(generator, noise).tokens
    other = sampling.sample(generator, noise).tokens
    torch.manual_seed(3)
    assert sampling.sample(generator, noise).tokens.equal(one)
    assert not one.equal(other)


def test_a_likelihood_counts_the_mask_only() -> None:
    tokens = torch.tensor([[3, EOS, PAD]])
    scored = sampling.log_likelihood(make(TinyGenerator), NOISE, tokens, mask_of(tokens))
    assert (scored[0, :2] < 0).all()
    assert scored[0, 2] == 0


@pytest.mark.parametrize("special", [PAD, BOS])
def test_a_sequence_with_pad_or_bos_inside_is_impossible(special: int) -> None:
    tokens = torch.tensor([[3, special, EOS]])
    scored = sampling.log_likelihood(make(TinyGenerator), NOISE, tokens, mask_of(tokens))
    assert scored.isinf().tolist() == [[False, True, False]]


def test_the_gradient_of_a_likelihood_is_finite_even_of_impossible_logits() -> None:
    generator = make(TinyGenerator)
    generator.prior[5] = -INFINITY
    tokens = torch.tensor([[3, EOS, PAD], [4, 4, 4]])
    sampling.log_likelihood(generator, NOISE.expand(2, -1), tokens, mask_of(tokens)).sum().backward()
    gradients = [parameter.grad for parameter in generator.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() and gradient.any() for gradient in gradients)


@pytest.mark.usefixtures("whether_rows_stay")
@pytest.mark.parametrize("policy", [PLAIN, Policy(temperature=0.5, top_k=2)], ids=["plain", "cold"])
@pytest.mark.parametrize("prompt", [[3], [5], [4, 4]], ids=str)
def test_what_follows_a_prompt_is_as_frequent_as_the_conditional_probabilities_say(
    prompt: list[int], policy: Policy
) -> None:
    """p(rest | prompt, noise) is p(prompt, rest | noise) by its sum over the rests.

    Under a policy that cannot draw the prompt itself the rest is still drawn, so the sum is over what it makes of them.
    """
    generator, (every, mask) = make(TinyGenerator), every_sequence()
    begins = (every[:, : len(prompt)] == torch.tensor(prompt)).all(dim=1)
    log_probs = sampling.log_probabilities(generator(NOISE.expand(len(every), -1), every), policy)
    log_probs[:, : len(prompt)] = 0
    conditional = torch.where(begins, likelihoods(log_probs, every, mask), 0).detach()
    assert conditional.sum().item() == pytest.approx(1, abs=1e-5)

    rng = torch.Generator().manual_seed(1)
    drawn = sampling.sample(generator, NOISE.expand(DRAWS, -1), policy, rng, torch.tensor(prompt))
    assert chi_square(count(drawn.tokens, every), conditional) > UNLIKELY
    assert (drawn.log_probs[:, : len(prompt)] == 0).all()
    torch.testing.assert_close(
        drawn.log_probs.sum(dim=1).exp(), conditional[(drawn.tokens[:, None] == every).all(dim=-1).int().argmax(dim=1)]
    )


@pytest.mark.usefixtures("whether_rows_stay")
def test_each_row_goes_on_from_a_prompt_of_its_own_and_one_that_has_ended_stays_so() -> None:
    generator, noise = make(TinyGenerator), torch.randn(3, SHAPE.noise).repeat(200, 1)
    prompts = torch.tensor([[3, 4], [5, 5], [3, EOS]]).repeat(200, 1)
    drawn = sampling.sample(generator, noise, prompt=prompts)
    assert drawn.tokens[:, :2].equal(prompts)
    assert {row[2] for row in drawn.tokens[2::3].tolist()} == {PAD}
    assert len({tuple(row) for row in drawn.tokens[0::3].tolist()}) > 1
    scored = sampling.log_likelihood(generator, noise, drawn.tokens, drawn.mask)
    torch.testing.assert_close(drawn.log_probs[:, 2], scored[:, 2])


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_several_samples_of_each_noise_are_those_of_the_noise_repeated(network: type[Generator]) -> None:
    generator, noise = make(network), torch.randn(5, SHAPE.noise)
    several, repeated = (
        sampling.sample(generator, rows, rng=torch.Generator().manual_seed(7), samples=samples)
        for rows, samples in ((noise, 40), (noise.repeat(40, 1), 1))
    )
    assert several.tokens.equal(repeated.tokens)
    torch.testing.assert_close(several.log_probs, repeated.log_probs)
    torch.testing.assert_close(
        sampling.log_likelihood(generator, noise, several.tokens, several.mask), several.log_probs
    )


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_an_empty_prompt_is_none(network: type[Generator]) -> None:
    generator, noise, nothing = make(network), torch.randn(50, SHAPE.noise), torch.empty(0, dtype=torch.int64)
    one, other = (
        sampling.sample(generator, noise, rng=torch.Generator().manual_seed(7), prompt=prompt)
        for prompt in (None, nothing)
    )
    assert one.tokens.equal(other.tokens)
    assert one.log_probs.equal(other.log_probs)


@pytest.mark.parametrize(
    ("network", "prompt", "message"),
    [
        (
            TinyOneShot,
            [3],
            "this generator writes all positions at once, so it cannot go on from a prompt; "
            "an autoregressive one, which writes word by word, can",
        ),
        (
            TinyGenerator,
            [3, 4, 5],
            "the prompt has 3 tokens, and a sequence of this generator has 3 at most; give a shorter one",
        ),
    ],
)
def test_a_prompt_that_cannot_be(network: type[Generator], prompt: list[int], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        sampling.sample(make(network), NOISE, prompt=torch.tensor(prompt))
    assert str(caught.value) == message


class Bigram(AutoregressiveGenerator):
    """The next logits depend on the last token and on nothing else."""

    def __init__(self, shape: Shape = SHAPE) -> None:
        super().__init__(shape)
        self.table = nn.Parameter(torch.randn(shape.vocabulary, shape.vocabulary))

    def start(self, noise: Tensor) -> State:
        return ()

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        return (tokens @ self.table if tokens.is_floating_point() else self.table[tokens]), state


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_hard_relaxed_samples_are_one_hots_as_frequent_as_their_sequences(network: type[Generator]) -> None:
    generator = make(network)
    drawn = sampling.relaxed_sample(generator, NOISE.expand(DRAWS, -1), temperature=0.7, hard=True)
    ids = drawn.sequence.argmax(dim=-1)
    assert drawn.sequence.equal(nn.functional.one_hot(ids, SHAPE.vocabulary).float())
    assert drawn.mask.equal(mask_of(ids))
    assert chi_square(count(ids, every_sequence()[0]), exact(generator)) > UNLIKELY


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_soft_relaxed_samples_are_distributions_and_padding(network: type[Generator]) -> None:
    soft = sampling.relaxed_sample(make(network), NOISE.expand(500, -1), temperature=1.0, hard=False)
    torch.testing.assert_close(soft.sequence.sum(dim=-1), torch.ones(500, SHAPE.length))
    assert 0.4 < soft.sequence[soft.mask].max(dim=-1).values.mean() < 0.95
    assert soft.mask.equal(mask_of(soft.sequence.argmax(dim=-1)))
    padding = torch.eye(SHAPE.vocabulary)[PAD]
    assert (soft.sequence[~soft.mask] == padding).all()
    assert (~soft.mask).any()


def test_the_colder_the_softmax_the_closer_to_one_hots() -> None:
    generator, distances = make(TinyOneShot), []
    for temperature in (1.0, 0.1, 0.01):
        torch.manual_seed(0)
        soft = sampling.relaxed_sample(generator, NOISE.expand(500, -1), temperature, hard=False)
        distances.append(1 - soft.sequence.max(dim=-1).values.mean().item())
    assert distances[0] > 5 * distances[1] > 25 * distances[2] > 0


def relaxed_gradients(generator: Generator, cost: Any, hard: bool, rows: int = 200) -> list[Tensor]:
    torch.manual_seed(0)
    drawn = sampling.relaxed_sample(generator, NOISE.expand(rows, -1), temperature=0.7, hard=hard)
    return list(torch.autograd.grad(cost(drawn), list(generator.parameters())))


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_a_gradient_reaches_every_parameter(network: type[Generator], hard: bool) -> None:
    weights = torch.randn(SHAPE.length, SHAPE.vocabulary, generator=torch.Generator().manual_seed(0))

    def cost(drawn: Sequences) -> Tensor:
        return (drawn.sequence * weights).sum()

    gradients = relaxed_gradients(make(network), cost, hard)
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


def test_hard_samples_have_the_gradient_of_the_softmax() -> None:
    weights = torch.randn(SHAPE.length, SHAPE.vocabulary, generator=torch.Generator().manual_seed(0))

    def cost(drawn: Sequences) -> Tensor:
        return (drawn.sequence * weights).sum()

    soft, hard = (relaxed_gradients(make(TinyOneShot), cost, hard) for hard in (False, True))
    torch.testing.assert_close(hard, soft)


@pytest.mark.parametrize("hard", [True, False])
def test_there_is_no_gradient_beyond_the_mask(hard: bool) -> None:
    def cost(drawn: Sequences) -> Tensor:
        return (drawn.sequence * ~drawn.mask[..., None]).square().sum()

    assert all((gradient == 0).all() for gradient in relaxed_gradients(make(TinyOneShot), cost, hard))


@pytest.mark.parametrize("hard", [True, False])
def test_the_gradient_passes_through_the_tokens_that_are_fed_back(hard: bool) -> None:
    """The row of <bos> has a say in the first token alone, so the last one moves it through the tokens in between."""
    (gradient,) = relaxed_gradients(make(Bigram), lambda drawn: drawn.sequence[:, -1, 3].sum(), hard)
    assert gradient[BOS, EOS:].abs().min() > 0.01


def test_what_goes_on_from_drawn_words_writes_what_it_would_without_a_relaxation() -> None:
    """However hot the softmax is; going on from its mixtures, the same generator writes other sentences."""
    generator, likelihood = make(TinyGenerator), {}
    for feed_drawn in (True, False):
        drawn = sampling.relaxed_sample(generator, NOISE.expand(DRAWS, -1), temperature=5.0, feed_drawn=feed_drawn)
        ids = torch.where(drawn.mask, drawn.sequence.argmax(dim=-1), PAD)
        likelihood[feed_drawn] = chi_square(count(ids, every_sequence()[0]), exact(generator))
        assert drawn.sequence[drawn.mask].max(dim=-1).values.mean() < 0.5
    assert likelihood[False] < UNLIKELY < likelihood[True]


def test_no_gradient_passes_through_drawn_words() -> None:
    """The row of <bos> moves the first word alone, and the rows of the others the words after them."""
    generator = make(Bigram)
    drawn = sampling.relaxed_sample(generator, NOISE.expand(200, -1), temperature=0.7, feed_drawn=True)
    (gradient,) = torch.autograd.grad(drawn.sequence[:, -1, 3].sum(), list(generator.parameters()))
    assert not gradient[BOS].any() and gradient[3:, EOS:].abs().min() > 0.01


@pytest.mark.usefixtures("whether_rows_stay")
@pytest.mark.parametrize("tokens", [[3, 4, 5], [5, 3, EOS]])
def test_completions_are_as_frequent_as_the_conditional_probabilities_say(tokens: list[int]) -> None:
    """Two rows whose noise differs: each prefix goes on from its own state."""
    torch.manual_seed(0)
    generator, rows = TinyGenerator(), torch.tensor([tokens, tokens])
    noise = torch.tensor([[0.7, -1.2], [-2.0, 1.5]])
    completed = sampling.rollouts(generator, noise, rows, DRAWS)
    assert completed.shape == (SHAPE.length - 1, DRAWS, 2, SHAPE.length)
    every, _ = every_sequence()
    for row in range(2):
        joint = exact(generator, noise=noise[row : row + 1])
        for kept in (1, 2):
            assert (completed[kept - 1, :, row, :kept] == rows[row, :kept]).all()
            begins = (every[:, :kept] == rows[row, :kept]).all(dim=1)
            conditional = torch.where(begins, joint, 0) / joint[begins].sum()
            assert chi_square(count(completed[kept - 1, :, row], every), conditional) > UNLIKELY


@pytest.mark.usefixtures("whether_rows_stay")
def test_rollouts_in_parts_are_those_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, noise = make(TinyGenerator), torch.randn(4, SHAPE.noise)
    assert isinstance(generator, AutoregressiveGenerator)
    tokens, found = torch.tensor([[3, 4, 5], [5, 3, EOS], [4, EOS, PAD], [4, 4, 4]]), []
    for rows in (1000, 3):
        monkeypatch.setattr(drawing, "LOGITS", rows * SHAPE.vocabulary)
        torch.manual_seed(0)
        found.append(sampling.rollouts(generator, noise, tokens, 50))
    assert found[0].equal(found[1])


@pytest.mark.usefixtures("whether_rows_stay")
def test_what_has_ended_is_not_completed() -> None:
    ended = torch.tensor([[EOS, PAD, PAD], [3, EOS, PAD]])
    completed = sampling.rollouts(make(TinyGenerator), torch.randn(2, SHAPE.noise), ended, 50)  # type: ignore[arg-type]
    assert (completed[:, :, 0] == ended[0]).all()
    assert (completed[1, :, 1] == ended[1]).all()
    assert (completed[0, :, 1, 1] != EOS).any()


@pytest.mark.usefixtures("whether_rows_stay")
def test_a_sequence_of_one_token_has_no_prefix_to_complete() -> None:
    generator = TinyGenerator(Shape(SHAPE.vocabulary, 1, SHAPE.noise))
    assert sampling.rollouts(generator, NOISE, torch.tensor([[3]]), 4).shape == (0, 4, 1, 1)


def test_nobody_looks_at_what_was_drawn_where_looking_waits_for_the_device(whether_rows_stay: bool) -> None:
    """The batches that the generator sees: smaller and smaller, or all of its rows to the end."""
    generator, sizes = make(TinyGenerator), []
    step = generator.step  # type: ignore[operator]
    generator.step = lambda tokens, state: sizes.append(len(tokens)) or step(tokens, state)  # type: ignore[assignment]
    sampling.sample(generator, torch.randn(100, SHAPE.noise))
    assert len(sizes) == SHAPE.length
    assert (sizes == [100] * SHAPE.length) == whether_rows_stay
    sizes.clear()
    tokens = torch.tensor([[3, 4, 5], [3, EOS, PAD]])
    sampling.rollouts(generator, torch.randn(2, SHAPE.noise), tokens, 50)  # type: ignore[arg-type]
    assert (sizes == [2, 2 + 100, 2 + 200]) == whether_rows_stay


@pytest.mark.parametrize("words", [SHAPE.vocabulary, MANY_WORDS, MANY_WORDS + 500])
def test_what_is_drawn_from_nonsense_is_a_word_all_the_same(words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody looks, the next phase may draw from logits that are not finite; a number too large ends CUDA."""
    for module in (drawing, sentences):
        monkeypatch.setattr(module, "asynchronous", lambda device: True)
    generator, noise = TinyGenerator(Shape(words, 3, SHAPE.noise)), torch.randn(20, SHAPE.noise)
    for nonsense in (torch.nan, torch.inf, -torch.inf):
        generator.prior.fill_(nonsense)
        drawn = sampling.sample(generator, noise)
        completed = sampling.rollouts(generator, noise, drawn.tokens, 3)
        relaxed = sampling.relaxed_sample(generator, noise, 1.0, hard=True)
        assert 0 <= min(drawn.tokens.min(), completed.min()) <= max(drawn.tokens.max(), completed.max()) < words
        assert relaxed.sequence.shape == (20, 3, words)


@pytest.mark.parametrize("words", [MANY_WORDS, MANY_WORDS + 1, 5000])
def test_the_likeliest_word_of_a_large_vocabulary_is_the_first_of_the_highest(words: int) -> None:
    torch.manual_seed(0)
    few = torch.randint(20, (40, 3, words)).float()  # with many equal ones
    every = torch.eye(words)
    for soft in (few, every, torch.rand(40, words)):
        assert torch.equal(relaxation._likeliest(soft), soft.argmax(dim=-1))


def test_map_state_reaches_every_tensor_and_keeps_the_containers() -> None:
    state = {"cell": (torch.ones(2), [torch.zeros(1)]), "none": (), "length": 3}
    doubled = sampling.map_state(lambda tensor: tensor + 1, state)
    assert isinstance(doubled["cell"], tuple)
    assert isinstance(doubled["cell"][1], list)
    assert doubled["cell"][0].tolist() == [2, 2]
    assert doubled["cell"][1][0].tolist() == [1]
    assert doubled["none"] == ()
    assert doubled["length"] == 3


def test_map_state_joins_states_of_one_form() -> None:
    one, other = ({"cell": (torch.full((2,), value), [])} for value in (1.0, 2.0))
    joined = sampling.map_state(lambda *parts: torch.cat(parts), one, other)
    assert joined["cell"][0].tolist() == [1, 1, 2, 2] and joined["cell"][1] == []


def test_map_state_names_what_it_does_not_know() -> None:
    with pytest.raises(TypeError) as caught:
        sampling.map_state(lambda tensor: tensor, [torch.ones(1), {"length": 3.0}])
    assert str(caught.value) == "a state holds tensors and ints in tuples, lists and dicts; this one has float"
