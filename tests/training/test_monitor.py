"""Interim evaluations: each number against one worked by hand, their conclusions from histories made up by hand."""

import math
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from ganlm_core import sampling
from ganlm_core.data.corpus import spread
from ganlm_core.metrics.judge import nll_bound
from ganlm_core.metrics.metric import Conditions, Measured, Subject
from ganlm_core.protocol import Generator, mask_of
from ganlm_core.sampling import LikelihoodRatio, log_likelihood
from ganlm_core.training import monitor, run
from ganlm_core.training.monitor import best, collapse, memorised, score, since_best
from ganlm_core.training.setup import Setup, prepare
from tests.conftest import WARM, FakeMPS, tiny_config
from tests.environments import ROOT

LOG2 = math.log(2)


def experiment(generator: str = "lstm", **settings: Any) -> Setup:
    return prepare(tiny_config(generator, "conv", **settings))


@pytest.fixture(scope="module")
def lstm() -> Setup:
    return experiment(algorithm_options=WARM)


def test_bigrams_are_counted_from_the_first_word_to_the_end() -> None:
    """7 <eos> <pad> and 7 8 9: <bos> 7 twice, 7 <eos>, 7 8, 8 9."""
    tokens = torch.tensor([[7, 2, 0], [7, 8, 9]])
    found = monitor.bigrams(tokens, vocabulary=10)
    assert sorted(found.tolist()) == [17, 17, 72, 78, 89]


def test_the_divergence_of_two_frequencies() -> None:
    """(1/2, 1/2, 0) and (0, 1/2, 1/2) have the mean (1/4, 1/2, 1/4): half of log 2 each."""
    one, other = torch.tensor([5, 5, 6, 6]), torch.tensor([6, 7])
    assert monitor.divergence(one, other) == pytest.approx(LOG2 / 2)
    assert monitor.divergence(other, one) == pytest.approx(LOG2 / 2)
    assert monitor.divergence(one, torch.tensor([6, 5])) == 0
    assert monitor.divergence(one, torch.tensor([7])) == pytest.approx(LOG2)


def test_an_interim_evaluation_measures_the_generator_on_the_validation_split(lstm: Setup) -> None:
    values, texts = monitor.interim_evaluation(lstm, 1)
    corpus, generator = lstm.corpus, lstm.generator.eval()
    assert len(texts) == monitor.SENTENCES
    assert values["distinct"] == pytest.approx(len(set(texts)) / len(texts), rel=1e-5)
    assert "test_nll" not in values
    held_out, _ = lstm.tokenizer.encode(corpus.validation, lstm.shape.length)
    assert values["validation_nll"] == pytest.approx(nll_bound(generator, held_out, 0, monitor.NOISE_DRAWS), rel=1e-5)
    rng = torch.Generator().manual_seed(0)
    sample = sampling.sample(generator, torch.randn(monitor.SENTENCES, 4, generator=rng), rng=rng)
    assert texts == lstm.tokenizer.decode(sample.tokens)
    lengths = sample.mask.sum(dim=1).tolist()
    lines = [[1, *row[:length]] for row, length in zip(sample.tokens.tolist(), lengths, strict=True)]
    assert values["distinct_bigrams"] == len({pair for line in lines for pair in pairwise(line)})
    assert values["entropy"] == pytest.approx((-sample.log_probs.sum() / sample.mask.sum()).item(), rel=1e-5)


def test_an_interim_evaluation_never_sees_the_test_split(lstm: Setup) -> None:
    """A metric finds the validation split in its place."""
    seen = []

    def metric(subject: Subject, conditions: Conditions) -> Measured:
        seen.append((subject.likelihood, conditions.corpus.test))
        return Measured()

    judge = replace(lstm.judge, metrics={"spy": metric})  # type: ignore[dict-item]
    monitor.interim_evaluation(replace(lstm, judge=judge), 1)
    assert seen == [(None, lstm.corpus.validation)]


def test_an_interim_evaluation_changes_nothing(lstm: Setup) -> None:
    algorithm = lstm.trainer.algorithm.train()
    before, state = torch.get_rng_state(), {name: tensor.clone() for name, tensor in algorithm.state_dict().items()}
    once, again = (monitor.interim_evaluation(lstm, 6) for _ in range(2))
    assert once == again
    assert torch.get_rng_state().equal(before)
    assert all(tensor.equal(state[name]) for name, tensor in algorithm.state_dict().items())
    assert all(module.training for module in algorithm.modules())
    assert all(parameter.grad is None for parameter in algorithm.parameters())


def test_an_interim_evaluation_leaves_the_random_numbers_of_every_device(lstm: Setup, fake_mps: FakeMPS) -> None:
    """Its own generators draw everything."""
    monitor.interim_evaluation(lstm, 6)
    assert fake_mps.seeds == []
    assert fake_mps.state.tolist() == [1, 2, 3]


def test_an_interim_evaluation_has_the_accuracy_of_the_discriminator_in_steps_that_train_it(lstm: Setup) -> None:
    """Steps 1 and 2 are of maximum likelihood."""
    told = [step for step in range(1, 7) if "discriminator_accuracy" in monitor.interim_evaluation(lstm, step)[0]]
    assert told == [3, 4, 5, 6]


def test_a_discriminator_that_knows_a_word_of_real_text_is_always_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sentence of the grammar ends with a full stop; a generator that never writes one is always found out."""
    mine = experiment(algorithm_options={"warmup": 0, "discriminator_warmup": 0})
    stop = mine.tokenizer.encode(["."], 2)[0][0, 0]
    assert all(text.endswith(".") for text in mine.corpus.validation)
    mine.generator.prior[stop] = -torch.inf

    def has_stop(sequence: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (sequence == stop).any(dim=1).float()

    monkeypatch.setattr(mine.trainer.algorithm.networks["discriminator"], "forward", has_stop)
    assert monitor.interim_evaluation(mine, 1)[0]["discriminator_accuracy"] == 1
    monkeypatch.setattr(
        mine.trainer.algorithm.networks["discriminator"], "forward", lambda sequence, mask: torch.zeros(len(sequence))
    )
    assert monitor.interim_evaluation(mine, 1)[0]["discriminator_accuracy"] == 0.5


def test_an_interim_evaluation_has_the_distance_from_an_exact_process(lstm: Setup) -> None:
    """The tiny generator reads noise, so the distance is a bound; after six steps it is nearly 1."""
    values, _ = monitor.interim_evaluation(lstm, 6)
    assert lstm.interim_judge.conditions.fresh(monitor.SENTENCES) is lstm.interim_judge.conditions.fresh(256)
    assert 0.5 < values["tv"] <= 1
    assert values["best_accuracy"] == pytest.approx((1 + values["tv"]) / 2, abs=1e-5)


def test_a_discriminator_that_no_step_trained_has_no_value() -> None:
    untrained = experiment(algorithm_options={"warmup": 0.99, "discriminator_warmup": 0})
    for each in (untrained, prepare(tiny_config("lstm", "conv", recipe="mle"))):
        assert monitor.trained_discriminator(each, 6, each.shared_networks) is None


@pytest.mark.parametrize("keep", ["last", "best"])
def test_a_language_model_judges_the_averaged_generator_that_is_evaluated(keep: str) -> None:
    setup = prepare(tiny_config("lstm", "lstm-lm", recipe="likelihood-ratio", noise_size=0, ema=0.9, keep=keep))
    setup.trainer.train(0, lambda step, metrics: None)
    setup.keep_as_best()
    networks = setup.shared_networks if setup.best is None else dict(setup.best)
    generator, texts = networks["generator"], setup.corpus.test[:8]
    found = monitor.trained_discriminator(setup, 6, networks)
    ids, _ = setup.tokenizer.encode(texts, setup.shape.length)
    mask, noise = mask_of(ids), torch.zeros(8, 0)
    assert isinstance(found, LikelihoodRatio) and isinstance(generator, Generator)
    wanted = log_likelihood(found.model.eval(), noise, ids, mask) - log_likelihood(generator.eval(), noise, ids, mask)
    assert setup.judge.scores(found, texts) == pytest.approx(wanted.sum(dim=1).tolist(), abs=1e-4)
    trained = setup.trainer.algorithm.networks["discriminator"]
    assert setup.judge.scores(trained, texts) != pytest.approx(wanted.sum(dim=1).tolist(), abs=1e-4)


def test_an_interim_evaluation_leaves_the_random_state_as_it_was() -> None:
    setup = prepare(tiny_config("lstm", "lstm-lm", recipe="likelihood-ratio", noise_size=0))
    setup.trainer.train(0, lambda step, metrics: None)
    before = torch.get_rng_state()
    first, second = (monitor.interim_evaluation(setup, 6)[0] for _ in range(2))
    assert torch.get_rng_state().equal(before)
    assert first == second and "discriminator_auc" in first


def test_a_generator_that_writes_all_positions_at_once_has_a_divergence_and_no_likelihood() -> None:
    values, _ = monitor.interim_evaluation(experiment("mlp"), 1)
    assert "validation_nll" not in values
    assert 0 < values["bigram_divergence"] < LOG2


def test_the_reference_has_the_variety_of_training_sentences(lstm: Setup) -> None:
    assert len(lstm.corpus.train) > monitor.SENTENCES
    assert 0.5 < monitor.reference(lstm)["distinct"] <= 1
    few = replace(lstm, corpus=replace(lstm.corpus, train=["the dog sleeps .", "the dog sleeps ."]))
    found = monitor.reference(few)
    assert (found["distinct"], found["distinct_bigrams"]) == (0.5, 5)


def test_the_reference_has_the_likelihood_of_the_unigram_model_and_the_copies_of_chance(lstm: Setup) -> None:
    found = monitor.reference(lstm)
    tokens, _ = lstm.tokenizer.encode(lstm.corpus.validation, lstm.shape.length)
    by_hand = -lstm.log_frequencies[tokens][mask_of(tokens)].mean().item()
    assert found["validation_nll"] == pytest.approx(by_hand, rel=1e-5)
    assert found["copied"] == pytest.approx(lstm.judge.conditions.copies_by_chance, rel=1e-5)


def test_sentences_are_taken_evenly_from_all_there_are() -> None:
    texts = [str(number) for number in range(1000)]
    taken = spread(texts, monitor.SENTENCES)
    assert len(taken) == monitor.SENTENCES
    gaps = {int(after) - int(before) for before, after in pairwise(taken)}
    assert gaps == {3, 4}
    assert spread(texts[:10], monitor.SENTENCES) == texts[:10]


def test_every_name_is_on_the_page_and_the_page_has_the_numbers_of_the_code(lstm: Setup) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    files = [path for room in ("ganlm_core", "plugins") for path in (ROOT / room).rglob("*.py")]
    sources = [path.read_text(encoding="utf-8") for path in files if "tests" not in path.parts]
    logged = {name for source in sources for name in re.findall(r'batch\.log\(\s*"(\w+)"', source)}
    assert {"accuracy", "entropy", "reward", "reward_variance"} <= logged
    of_metrics = lstm.judge.judge(Subject(["the dog sleeps ."])).keys() | {"process_nll"}
    found = monitor.interim_evaluation(lstm, 6)[0].keys() - of_metrics
    assert {"validation_nll", "discriminator_accuracy"} <= found
    assert {name for name in logged | found if f"`{name}`" not in page} == set()
    assert (monitor.SENTENCES, monitor.REPEATING, run.ROLLBACKS, monitor.NOISE_DRAWS) == (256, 1 / 5, 3, 1)
    for words in ("256 sentences", "less than a fifth", "after three times", "from one draw"):
        assert words in page


REAL = {"distinct": 0.99, "distinct_bigrams": 900}


def nlls(*values: float) -> list[dict[str, float]]:
    return [
        {"step": 100.0 * number, "validation_nll": value, "bigram_divergence": -value}
        for number, value in enumerate(values, 1)
    ]


def interim(entropy: float, distinct: float = 0.98, distinct_bigrams: float = 880) -> dict[str, float]:
    return {"entropy": entropy, "distinct": distinct, "distinct_bigrams": distinct_bigrams}


@pytest.mark.parametrize(
    ("history", "step", "since"),
    [
        (nlls(3.0), 100, 0),
        (nlls(3.0, 2.0, 1.0), 300, 0),
        (nlls(3.0, 1.0, 2.0, 1.5), 200, 2),
        (nlls(1.0, 1.0, 1.0), 100, 2),
        (nlls(math.nan, 2.0, math.inf, 3.0), 200, 2),
    ],
    ids=["one", "better and better", "worse", "the first of equal ones", "not finite"],
)
def test_the_best_evaluation_and_how_many_came_after_it(history: list[dict[str, float]], step: int, since: int) -> None:
    assert best(history)["step"] == step
    assert since_best(history) == since


def test_the_divergence_decides_where_there_is_no_likelihood() -> None:
    assert score({"validation_nll": 2.0, "bigram_divergence": 0.1}) == 2.0
    assert score({"bigram_divergence": 0.1}) == 0.1


@pytest.mark.parametrize(
    "history",
    [
        [interim(4.1)],
        [interim(4.1), interim(1.6), interim(1.5)],
        [interim(4.1), interim(0.05)],
        [interim(4.1), interim(2.0, distinct=0.2, distinct_bigrams=181)],
        [interim(4.1, distinct=0.01), interim(1.6)],
    ],
    ids=["at the start", "learning", "certain of each word", "little variety", "recovered"],
)
def test_no_collapse(history: list[dict[str, float]]) -> None:
    assert collapse(history, REAL) == ""


def test_samples_that_repeat_are_a_collapse() -> None:
    history = [interim(4.1), interim(0.9, distinct=0.03, distinct_bigrams=12)]
    assert collapse(history, REAL) == (
        "entropy fell from 4.1 to 0.9 nats; samples repeat: 3.0% distinct (real text: 99.0%), "
        "12 different bigrams (real text: 900)"
    )


def test_different_sentences_of_the_same_few_words_are_a_collapse() -> None:
    """Its entropy is told only if it fell to less than half."""
    history = [interim(4.1), interim(2.1, distinct_bigrams=179)]
    assert collapse(history, REAL) == "samples repeat: 179 different bigrams (real text: 900)"


def test_samples_may_repeat_as_much_as_real_text() -> None:
    history = [interim(1.0, distinct=0.05)]
    assert collapse(history, REAL | {"distinct": 0.2}) == ""
    assert collapse(history, REAL | {"distinct": 0.26}) == "samples repeat: 5.0% distinct (real text: 26.0%)"


KNOWN = {"validation_nll": 5.0, "copied": 0.01}


def learning(*values: float, copied: float = 0.0) -> list[dict[str, float]]:
    return [
        {"step": 10.0 * number, "validation_nll": value, "bigram_divergence": 0.3, "copied": copied}
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    "history",
    [
        learning(6.0),
        learning(4.0, 3.0, 2.0),
        learning(4.0, 3.0, 3.2),
        learning(4.0, 3.0, 3.1, 3.1),
        learning(6.0, 5.5, 5.2),
        learning(4.0, 3.0, copied=0.04),
        [{"step": 10.0, "bigram_divergence": 0.3, "copied": 0.0}] * 3,
    ],
    ids=["untrained", "better", "worse once", "hardly worse", "above, and better", "as chance has it", "no likelihood"],
)
def test_a_generator_that_learns_memorises_nothing(history: list[dict[str, float]]) -> None:
    assert memorised(history, KNOWN, likelihood_until=100) == {}


def test_a_validation_likelihood_that_has_turned_is_told() -> None:
    history = learning(4.0, 3.0, 3.1, 3.2)
    told = {"turned": "validation text was likelier at step 10 (3.00, now 3.20 nats)"}
    assert memorised(history, KNOWN, likelihood_until=30) == told
    assert memorised(history, KNOWN, likelihood_until=20) == {}, "adversarial training trades likelihood for samples"


def test_a_likelihood_worse_than_the_unigram_models_is_told() -> None:
    assert memorised(learning(4.0, 5.1), KNOWN, likelihood_until=0) == {
        "unigram": "the unigram model gives validation text a higher likelihood (5.00 nats a token, the generator 5.10)"
    }


def test_copies_above_chance_are_told() -> None:
    assert memorised(learning(4.0, copied=0.041), KNOWN, likelihood_until=0) == {
        "copied": "4.1% of the samples are copies of training sentences (1.0% is expected by chance)"
    }
