"""The judge: drawn sentences, likelihoods against enumeration and quadrature, and the reference rows."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.options import PenaltyOptions
from ganlm_core.components import ComponentSpec, NoOptions
from ganlm_core.data.corpus import Corpus
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.metrics import judge
from ganlm_core.metrics.basic import Copies, Distinct, HeldOutLikelihood, Validity
from ganlm_core.metrics.judge import Judge, Unigram, Values, nll_bound, round_values
from ganlm_core.metrics.metric import Metric
from ganlm_core.plugins.discovery import Origin
from ganlm_core.protocol import EOS, UNK, Generator, Shape, mask_of, per_sequence
from ganlm_core.sampling import PLAIN, Policy, likelihood
from tests.tiny import TinyDiscriminator, TinyGenerator, TinyOneShot, every_sequence, likelihoods

LOG2 = math.log(2)


class Known:
    """A process that gives "a b" with 1/2 and "b" and "b b" with 1/4 each."""

    name = "known"

    def log_prob(self, texts: Sequence[str]) -> list[float]:
        bits = {"a b": 1, "b": 2, "b b": 2}
        return [-bits[text] * LOG2 if text in bits else -math.inf for text in texts]


CORPUS = Corpus("known", ["a b", "b"], ["b"], ["a b", "b", "b b"], process=Known())


NAMELESS = replace(CORPUS, process=None)


METRICS: dict[str, Metric] = {
    kind.__name__: kind(NoOptions()) for kind in (Validity, Distinct, Copies, HeldOutLikelihood)
}


TOKENIZER = Tokenizer.train("word", CORPUS.train, 10)


A, B = (TOKENIZER.encode([word], 2)[0][0, 0].item() for word in "ab")


SHAPE = Shape(TOKENIZER.vocabulary_size, 3, 2)


JUDGE = Judge(CORPUS, TOKENIZER, SHAPE, METRICS, seed=0)


JUDGE_NAMELESS = replace(JUDGE, corpus=NAMELESS)


def judged(judge: Judge, generator: Generator, n: int) -> tuple[Values, list[str]]:
    subject = judge.written(generator, n)
    return judge.judge(subject), list(subject.texts)


def noisy(size: int) -> TinyGenerator:
    """A generator whose probabilities depend much on its noise."""
    torch.manual_seed(0)
    generator = TinyGenerator(Shape(6, 3, size))
    with torch.no_grad():
        generator.noise.mul_(10)
    return generator


def conditional(generator: Generator, noise: Tensor) -> Tensor:
    """p(x | z) of every sequence (N,) for noise (Z,)."""
    tokens, mask = every_sequence()
    logits = generator(noise.expand(len(tokens), -1), tokens)
    return likelihoods(sampling.log_probabilities(logits), tokens, mask).detach()


def per_token(probabilities: Tensor) -> float:
    return (-probabilities.log().sum() / every_sequence()[1].sum()).item()


def test_without_noise_the_bound_is_the_exact_likelihood_for_every_seed() -> None:
    generator, (tokens, _) = noisy(0), every_sequence()
    exact = per_token(conditional(generator, torch.zeros(0)))
    assert nll_bound(generator, tokens, seed=0) == pytest.approx(exact, rel=1e-5)
    assert nll_bound(generator, tokens, seed=1) == pytest.approx(exact, rel=1e-5)


def test_batches_are_weighted_by_their_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, (tokens, _) = noisy(0), every_sequence()
    whole = nll_bound(generator, tokens, seed=0)
    monkeypatch.setattr(judge, "BATCH", 7)
    assert nll_bound(generator, tokens, seed=0) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("logits", [1, 100])
def test_each_sequence_keeps_its_noise_however_many_are_scored_at_once(
    monkeypatch: pytest.MonkeyPatch, logits: int
) -> None:
    generator, (tokens, _) = noisy(2), every_sequence()
    whole = nll_bound(generator, tokens, seed=0)
    monkeypatch.setattr(likelihood, "LOGITS", logits)
    assert nll_bound(generator, tokens, seed=0) == pytest.approx(whole, rel=1e-6)


def test_with_noise_more_draws_tighten_the_bound() -> None:
    """Against the marginal by quadrature: one noise dimension from -8 to 8 standard deviations."""
    generator, (tokens, _) = noisy(1), every_sequence()
    grid = torch.linspace(-8, 8, 401)
    density = torch.exp(-grid.square() / 2) / math.sqrt(2 * math.pi)
    inside = torch.stack([conditional(generator, point[None]) for point in grid], dim=1)
    marginal = torch.trapezoid(inside * density, grid)
    assert marginal.sum().item() == pytest.approx(1, abs=1e-4)

    def bound(draws: int) -> float:
        return nll_bound(generator, tokens.repeat(25, 1), seed=0, draws=draws)

    # Above the exact value by 0.193 nats at one draw and 0.015 at eight. A thousand sequences leave a Monte Carlo error
    # of 0.003 nats at eight draws, and of less than 0.001 at 512.
    exact = per_token(marginal)
    assert bound(1) > bound(8) + 0.1
    assert bound(8) > exact + 0.005
    assert bound(512) == pytest.approx(exact, abs=0.003)


def test_a_bound_depends_on_its_seed_and_does_not_change_the_global_random_state() -> None:
    generator, (tokens, _) = noisy(2), every_sequence()
    before = torch.get_rng_state()
    one, same, other = (nll_bound(generator, tokens, seed) for seed in (0, 0, 1))
    assert one == same != other
    assert torch.get_rng_state().equal(before)


def log_frequencies(eos: float, a: float, b: float) -> Tensor:
    frequencies = torch.zeros(SHAPE.vocabulary)
    frequencies[[EOS, A, B]] = torch.tensor([eos, a, b])
    return frequencies.log()


def test_the_unigram_model_gives_each_token_its_frequency() -> None:
    """The test split is "a b", "b" and "b b", each with an end: eight tokens."""
    references = JUDGE_NAMELESS.references(100, log_frequencies(eos=1 / 4, a=1 / 4, b=1 / 2))
    values = JUDGE_NAMELESS.judge(references["unigram"]())
    bits = [2, 1, 2, 1, 2, 1, 1, 2]
    assert values["test_nll"] == pytest.approx(sum(bits) * LOG2 / len(bits), rel=1e-5)


def test_the_unigram_model_draws_words_by_their_frequency() -> None:
    judge = replace(JUDGE, metrics={}, shape=Shape(SHAPE.vocabulary, 2, 2))
    model = Unigram(judge.shape)
    model.prior.copy_(log_frequencies(eos=0.0, a=1 / 4, b=3 / 4))
    _, texts = judged(judge, model, 4000)
    words = " ".join(texts).split()
    assert len(words) == 8000
    # The share of 8000 draws is within 4.5 standard errors, sqrt(3/16/8000), of a quarter.
    assert words.count("a") / len(words) == pytest.approx(0.25, abs=0.022)


class Watched(TinyGenerator):
    """Records the modes in which it is called."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.modes: set[bool] = set()

    def start(self, noise: Tensor) -> Any:
        self.modes.add(self.training)
        return super().start(noise)


@pytest.mark.parametrize("training", [True, False])
def test_judging_changes_neither_the_mode_of_a_generator_nor_the_global_random_state(training: bool) -> None:
    generator = Watched(SHAPE).train(training)
    before = torch.get_rng_state()
    judged(JUDGE, generator, 10)
    assert torch.get_rng_state().equal(before)
    assert generator.training is training
    assert generator.modes == {False}


def test_a_generator_is_judged_by_the_wanted_number_of_sentences() -> None:
    torch.manual_seed(0)
    generator = TinyGenerator(SHAPE)
    values, texts = judged(JUDGE, generator, 300)
    assert len(texts) == 300
    assert values["distinct"] == len(set(texts)) / 300
    assert values["copied"] == sum(text in CORPUS.train for text in texts) / 300
    assert values["test_nll"] == nll_bound(generator, TOKENIZER.encode(CORPUS.test, SHAPE.length)[0], JUDGE.seed)
    assert texts[256:] != texts[:44]


def test_one_pass_gives_the_likelihood_under_every_policy() -> None:
    torch.manual_seed(0)
    generator, policies = TinyGenerator(replace(SHAPE, noise=0)), [Policy(0.5), PLAIN, Policy(2.0)]
    subjects = list(replace(JUDGE, shape=generator.shape).curve(generator, 20, policies))
    assert len({tuple(each.texts) for each in subjects}) == len(policies)
    tokens, _ = TOKENIZER.encode(CORPUS.test, SHAPE.length)
    mask, logits = mask_of(tokens), generator(torch.zeros(len(tokens), 0), tokens)
    passes = []
    generator.register_forward_pre_hook(lambda *_: passes.append(1))
    for each, policy in zip(subjects, policies, strict=True):
        exact = -sampling.of_tokens(sampling.log_probabilities(logits, policy), tokens, mask).sum() / mask.sum()
        assert each.likelihood is not None
        assert each.likelihood(tuple(CORPUS.test)).nll_per_token == pytest.approx(exact.item(), rel=1e-5)
    assert len(passes) == 1


def test_the_seed_of_the_judge_determines_the_sentences() -> None:
    generator = TinyGenerator(SHAPE)
    one, same, other = (judged(replace(JUDGE, seed=seed), generator, 50) for seed in (0, 0, 1))
    assert one == same
    assert one[1] != other[1]


def test_a_one_shot_generator_has_no_held_out_likelihood() -> None:
    assert judged(JUDGE, TinyOneShot(SHAPE), 10)[0].keys() >= {"valid", "distinct", "copied"}
    assert "test_nll" not in judged(JUDGE, TinyOneShot(SHAPE), 10)[0]


def test_real_text_is_training_text_except_for_copies_and_likelihood() -> None:
    """Its sentences are "a b" and "b": three bits. Copies and likelihood are of the test split.

    That is "a b", "b" and "b b": five bits, eight tokens with their ends.
    """
    assert JUDGE.judge(JUDGE.real(100)) == pytest.approx(
        {"valid": 1, "process_nll": 3 * LOG2 / 2, "distinct": 1, "copied": 2 / 3, "test_nll": 5 * LOG2 / 8}
    )


def test_real_text_counts_all_its_tokens_even_if_the_networks_see_fewer() -> None:
    short = replace(JUDGE, shape=replace(SHAPE, length=2))
    assert short.judge(short.real(100))["test_nll"] == pytest.approx(5 * LOG2 / 8)


def test_real_text_has_the_wanted_number_of_sentences_at_most() -> None:
    subject = JUDGE.real(1)
    assert len(subject.texts) == len(subject.unseen) == 1
    values = JUDGE.judge(subject)
    assert values["copied"] == 1
    assert values["test_nll"] == pytest.approx(5 * LOG2 / 8)


def test_real_text_without_a_process_has_no_likelihood() -> None:
    assert JUDGE_NAMELESS.judge(JUDGE_NAMELESS.real(100)) == pytest.approx({"distinct": 1, "copied": 2 / 3})


def test_a_judge_has_the_metrics_of_every_run() -> None:
    specs = {
        name: ComponentSpec("metric", name, "m:a", PenaltyOptions, when=when)
        for name, when in {"a": "run", "b": "eval"}.items()
    }
    host: Any = SimpleNamespace(
        specs=lambda kind: specs if kind == "metric" else {},
        spec=lambda kind, name: specs[name],
        origin=lambda kind, name: Origin("ganlm", "1"),
        build=lambda kind, name: (kind, name),
    )
    judge = Judge.of(host, CORPUS, TOKENIZER, SHAPE, seed=3)
    assert judge.metrics == {"a": ("metric", "a")}
    assert judge.seed == 3


def test_values_are_rounded_to_six_digits() -> None:
    values = {"long": 1.23456789, "small": 0.0000123456789, "large": 123456789.0, "short": 0.5, "none": math.inf}
    assert round_values(values) == {
        "long": 1.23457, "small": 1.23457e-05, "large": 123457000.0, "short": 0.5, "none": math.inf
    }  # fmt: skip


def test_the_log_probability_of_a_text_is_exact_and_minus_infinity_for_one_that_cannot_be_written() -> None:
    """Against enumeration. A word that is not in the vocabulary, or a fourth word, cannot be written."""
    generator, (tokens, mask) = noisy(0), every_sequence()
    known = (tokens != UNK).all(dim=1)
    texts, policy = TOKENIZER.decode(tokens[known]), Policy(0.5)
    logits = generator(torch.zeros(len(tokens), 0), tokens)
    exact = likelihoods(sampling.log_probabilities(logits, policy), tokens, mask).log()[known]
    found = JUDGE.log_prob(generator, policy, texts)
    assert found == pytest.approx(exact.tolist(), rel=1e-4)
    assert JUDGE.log_prob(generator, policy, ["a c", "a b a b", "<unk>"]) == [-math.inf] * 3
    assert JUDGE.log_prob(generator, policy, ["a b a"])[0] > -math.inf


def test_a_text_has_a_log_probability_where_it_is_exact_or_unbiased() -> None:
    without_noise = JUDGE.subject(["a"], noisy(0))
    assert without_noise.log_prob is not None and without_noise.draws == 0
    assert JUDGE.subject(["a"], noisy(1)).draws == judge.NOISE_DRAWS
    assert JUDGE.subject(["a"], TinyOneShot(SHAPE)).log_prob is None
    byte_pairs = replace(JUDGE, tokenizer=Tokenizer.train("bpe", CORPUS.train, 300))
    assert byte_pairs.subject(["a"], noisy(0)).log_prob is None


def test_the_scores_of_texts_are_logits_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    discriminator, texts = TinyDiscriminator(SHAPE, per_position=True), ["a", "b a b", "a b"]
    tokens, _ = TOKENIZER.encode(texts, SHAPE.length)
    mask = mask_of(tokens)
    expected = per_sequence(discriminator(tokens, mask), mask)
    scores = JUDGE.scores_of(discriminator)
    assert scores is not None and scores(texts) == pytest.approx(expected.tolist())
    assert discriminator.training
    assert JUDGE.scores_of(None) is None
    frequencies = log_frequencies(eos=1 / 4, a=1 / 4, b=1 / 2)
    for make in JUDGE_NAMELESS.references(10, frequencies, scores).values():
        assert make().scores is scores


def test_the_number_of_batches_at_once_changes_nothing() -> None:
    """Each batch has random numbers of its own, so several processes find what one finds."""

    def from_behind(work: Any, parts: Iterable[Any]) -> list[Any]:
        return [work(part) for part in reversed(list(parts))][::-1]

    generator = noisy(2)
    texts = JUDGE.draw(generator, 600, PLAIN)
    assert JUDGE.draw(generator, 600, PLAIN, from_behind) == texts != JUDGE.draw(generator, 300, PLAIN) * 2
    assert JUDGE.draw(generator, 300, PLAIN) == texts[:300]
    held_out = [*JUDGE.corpus.test] * 300
    one, other = (JUDGE.likelihoods(generator, held_out, [PLAIN], divide) for divide in (map, from_behind))
    assert one == other
