"""Sentences and completions, against distributions enumerated over every sequence of a three-word vocabulary."""

import pytest
import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.errors import UsageError
from ganlm_core.protocol import BOS, EOS, PAD, AutoregressiveGenerator, Generator, Shape, mask_of
from ganlm_core.sampling import PLAIN, Policy, drawing, sentences
from ganlm_core.sampling.drawing import MANY_WORDS
from tests.tiny import (
    DRAWS,
    NOISE,
    POLICIES,
    SHAPE,
    UNLIKELY,
    Readout,
    TinyGenerator,
    TinyOneShot,
    chi_square,
    count,
    every_sequence,
    exact,
    likelihoods,
    make,
)


@pytest.fixture(params=[False, True], ids=["rows leave", "rows stay"])
def whether_rows_stay(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways through a batch: on a CPU, ended rows leave it; on an asynchronous device, all rows stay."""
    for module in (drawing, sentences):
        monkeypatch.setattr(module, "asynchronous", lambda device: request.param)
    return bool(request.param)


@pytest.mark.usefixtures("whether_rows_stay")
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_sequences_are_drawn_as_often_as_they_are_probable(network: type[Generator], policy: Policy) -> None:
    generator = make(network)
    rng = torch.Generator().manual_seed(1)
    drawn = sampling.sample(generator, NOISE.expand(5 * DRAWS, -1), policy, rng).tokens
    assert chi_square(count(drawn, every_sequence()[0]), exact(generator, policy)) > UNLIKELY


@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_a_sample_has_the_log_probability_of_each_token(network: type[Generator]) -> None:
    generator, noise = make(network), torch.randn(500, SHAPE.noise)
    drawn = sampling.sample(generator, noise)
    scored = sampling.log_likelihood(generator, noise, drawn.tokens, drawn.mask)
    torch.testing.assert_close(drawn.log_probs, scored)
    assert (drawn.log_probs[drawn.mask] < 0).all()


def test_the_log_probabilities_of_a_sample_are_under_the_policy() -> None:
    generator, policy, noise = make(TinyGenerator), Policy(top_k=2), NOISE.expand(100, -1)
    drawn = sampling.sample(generator, noise, policy)
    log_probs = sampling.log_probabilities(generator(noise, drawn.tokens), policy)
    expected = likelihoods(log_probs, drawn.tokens, drawn.mask)
    torch.testing.assert_close(drawn.log_probs.sum(dim=1).exp(), expected)


@pytest.mark.usefixtures("whether_rows_stay")
@pytest.mark.parametrize("network", [TinyGenerator, TinyOneShot])
def test_only_padding_follows_eos(network: type[Generator]) -> None:
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


@pytest.mark.usefixtures("whether_rows_stay")
@pytest.mark.parametrize("policy", [PLAIN, Policy(temperature=0.5, top_k=2)], ids=["plain", "cold"])
@pytest.mark.parametrize("prompt", [[3], [5], [4, 4]], ids=str)
def test_continuations_of_a_prompt_follow_the_conditional_probabilities(prompt: list[int], policy: Policy) -> None:
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
def test_several_samples_of_each_noise_equal_samples_of_repeated_noise(network: type[Generator]) -> None:
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
            "this generator writes all positions at once, so it cannot continue a prompt; "
            "use an autoregressive generator, which writes word by word",
        ),
        (
            TinyGenerator,
            [3, 4, 5],
            "the prompt has 3 tokens, and a sequence of this generator has 3 at most; give a shorter one",
        ),
    ],
)
def test_a_prompt_that_cannot_be_continued_is_refused(
    network: type[Generator], prompt: list[int], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        sampling.sample(make(network), NOISE, prompt=torch.tensor(prompt))
    assert str(caught.value) == message


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
def test_rollouts_in_parts_equal_rollouts_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, noise = make(TinyGenerator), torch.randn(4, SHAPE.noise)
    assert isinstance(generator, AutoregressiveGenerator)
    tokens, found = torch.tensor([[3, 4, 5], [5, 3, EOS], [4, EOS, PAD], [4, 4, 4]]), []
    for rows in (1000, 3):
        monkeypatch.setattr(drawing, "LOGITS", rows * SHAPE.vocabulary)
        torch.manual_seed(0)
        found.append(sampling.rollouts(generator, noise, tokens, 50))
    assert found[0].equal(found[1])


@pytest.mark.usefixtures("whether_rows_stay")
def test_sequences_that_have_ended_are_not_completed() -> None:
    ended = torch.tensor([[EOS, PAD, PAD], [3, EOS, PAD]])
    completed = sampling.rollouts(make(TinyGenerator), torch.randn(2, SHAPE.noise), ended, 50)  # type: ignore[arg-type]
    assert (completed[:, :, 0] == ended[0]).all()
    assert (completed[1, :, 1] == ended[1]).all()
    assert (completed[0, :, 1, 1] != EOS).any()


@pytest.mark.usefixtures("whether_rows_stay")
def test_a_sequence_of_one_token_has_no_prefix_to_complete() -> None:
    generator = TinyGenerator(Shape(SHAPE.vocabulary, 1, SHAPE.noise))
    assert sampling.rollouts(generator, NOISE, torch.tensor([[3]]), 4).shape == (0, 4, 1, 1)


def test_rows_that_have_ended_stay_in_the_batch_on_an_asynchronous_device(whether_rows_stay: bool) -> None:
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
def test_logits_that_are_not_finite_still_give_a_word(words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are checked late on an asynchronous device, where an index out of range would end the process."""
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


def test_map_state_refuses_other_types_by_name() -> None:
    with pytest.raises(TypeError) as caught:
        sampling.map_state(lambda tensor: tensor, [torch.ones(1), {"length": 3.0}])
    assert str(caught.value) == "a state holds tensors and ints in tuples, lists and dicts; this one has float"


def test_a_readout_generator_of_many_words_draws_the_same_from_its_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a prompt, and in rollouts; under a policy its words are drawn from logits."""
    torch.manual_seed(0)
    generator, noise = Readout(Shape(MANY_WORDS, 4, 2)), torch.randn(50, 2)
    prompt = torch.tensor([5])

    def drawn() -> list[Tensor]:
        torch.manual_seed(1)
        found = sampling.sample(generator, noise, prompt=prompt)
        return [found.tokens, found.log_probs, sampling.rollouts(generator, noise, found.tokens, 2)]

    from_states = drawn()
    monkeypatch.setattr(sentences, "fuses", lambda device: False)
    for found, expected in zip(from_states, drawn(), strict=True):
        assert torch.isclose(found, expected, atol=1e-5).float().mean() > 0.99
    monkeypatch.undo()
    monkeypatch.setattr(Readout, "logits", None)
    sampling.sample(generator, noise)
    with pytest.raises(TypeError):
        sampling.sample(generator, noise, Policy(temperature=0.5))
