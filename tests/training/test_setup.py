"""Everything that a run needs, built from a configuration, or refused in one line."""

import pytest
import torch

from ganlm_core.config.run_config import override
from ganlm_core.errors import UnknownName, UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.system import processes
from ganlm_core.training.loop import Trainer
from ganlm_core.training.setup import is_sharded, prepare
from tests.conftest import WARM, tiny_config


def test_more_steps_than_planned_go_on_at_the_end_of_every_schedule() -> None:
    """Six steps are planned: of these two are of maximum likelihood, and one is of the discriminator."""
    settings = {"algorithm_options": WARM, "generator_optimizer_options": {"schedule": "linear", "final_lr": 0}}
    short, long = (
        prepare(tiny_config("lstm", "conv", **settings | more)) for more in ({}, {"steps": 60, "planned_steps": 6})
    )
    assert short.trainer.steps == long.trainer.steps == 6
    assert long.trainer.algorithm.adversarial_from == short.trainer.algorithm.adversarial_from == 3
    rate, lr = long.trainer.slowed(0.5).optimizer("generator", 5), long.trainer.optimizers["generator"].options.lr
    for step in (6, 59):
        rate.set_learning_rate(step)
        assert rate.optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * lr / 3)
    phases = long.trainer.algorithm.phases(40)
    assert [phase.name for phase in phases] == ["discriminator", "generator"]
    assert [phase.progress for phase in phases] == [1.0, 1.0]


def test_networks_may_have_an_optimizer_for_the_steps_before_adversarial_training() -> None:
    """Six steps: two of maximum likelihood, one of the discriminator, three adversarial ones."""
    host, layers = default_host(), {"algorithm_options": WARM}
    table = {"adam": {"lr": 0.5, "schedule": "linear"}}
    config = override(
        host,
        tiny_config("lstm", "conv", **layers),
        [{"optimizer": {"generator_warmup": table, "discriminator_warmup": table}}],
    )
    trainer = prepare(config).trainer
    spans = {name: (each.first, each.last) for name, each in trainer.optimizers.items()}
    assert spans == {
        "generator": (3, 5), "discriminator": (3, 5), "generator_warmup": (0, 1), "discriminator_warmup": (2, 2)
    }  # fmt: skip
    assert [trainer.optimizer("generator", step) is trainer.optimizers["generator_warmup"] for step in range(6)] == [
        True, True, True, False, False, False
    ]  # fmt: skip
    warming = trainer.optimizers["generator_warmup"].optimizer.param_groups[0]["params"]
    assert {id(each) for each in warming} == {id(each) for each in trainer.algorithm.networks["generator"].parameters()}


def test_an_optimizer_for_no_network_is_refused() -> None:
    config = override(default_host(), tiny_config("lstm", "conv"), [{"optimizer": {"generator_warm": {"adam": {}}}}])
    with pytest.raises(UnknownName, match="generator_warmup"):
        prepare(config)


def test_an_estimator_of_next_words_needs_an_algorithm_with_their_costs() -> None:
    config = tiny_config("lstm", "lstm-lm", algorithm="rankgan", estimator="next-word", noise_size=0)
    with pytest.raises(UsageError, match="algorithm 'rankgan' judges whole sequences"):
        prepare(config)
    prepare(tiny_config("lstm", "lstm-lm", algorithm="mle", estimator="next-word", noise_size=0))  # it uses none


def test_the_trainer_has_what_the_configuration_says() -> None:
    built = prepare(tiny_config("lstm", "conv", clip=2.5, ema=0.5, batch_size=3))
    assert isinstance(built.trainer, Trainer)
    assert (built.trainer.clip, built.trainer.batches.size, built.device) == (2.5, 3, torch.device("cpu"))
    assert built.shared_networks["generator"] is built.generator is not built.trainer.algorithm.networks["generator"]
    assert built.best is None


def test_optimizers_are_divided_among_several_processes_and_lbfgs_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config("lstm", "conv", generator_optimizer="lbfgs", shard_optimizers=True)
    setup = prepare(config)
    assert "--shard-optimizers has no effect on one process; torchrun starts several" in setup.notes
    assert not is_sharded(config)
    monkeypatch.setattr(processes, "size", lambda: 2)
    assert is_sharded(config)
    with pytest.raises(UsageError, match="lbfgs moves all of them as one vector; choose another optimiser"):
        prepare(config)


def test_equal_data_have_equal_fingerprints() -> None:
    one, same, other = (prepare(tiny_config("lstm", "conv", corpus_options={"size": n})) for n in (300, 300, 301))
    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize("generator", ["lstm", "mlp"])
@pytest.mark.parametrize("prior", [True, False])
def test_a_generator_of_fixed_length_never_ends_and_draws_known_words_only(generator: str, prior: bool) -> None:
    options = {"size": 200, "vocabulary": 20, "length": 6, "fixed_length": True}
    made = prepare(tiny_config(generator, "conv", corpus="oracle", corpus_options=options, prior=prior))
    assert (made.shape.length, made.shape.vocabulary) == (6, 24)
    assert any("24 words, sequences of 6 tokens without <eos>" in note for note in made.notes)
    assert not any("were cut" in note for note in made.notes)
    subject = made.judge.written(made.generator, 300)
    assert {len(text.split()) for text in subject.texts} == {6}
    assert made.judge.judge(subject)["valid"] == 1
    unigram = made.judge.references(100, made.log_frequencies)["unigram"]()
    assert {len(text.split()) for text in unigram.texts} == {6}


@pytest.mark.parametrize("prior", [True, False])
def test_a_language_model_starts_from_the_frequencies_of_the_words(prior: bool) -> None:
    made = prepare(tiny_config("lstm", "lstm-lm", prior=prior, noise_size=0))
    found = made.trainer.algorithm.networks["discriminator"].model.prior
    assert found.equal(made.log_frequencies if prior else torch.zeros_like(found))


def test_the_likelihood_of_fixed_length_is_per_token_without_an_end() -> None:
    options = {"size": 200, "vocabulary": 20, "length": 6, "fixed_length": True}
    made = prepare(tiny_config("lstm", "conv", corpus="oracle", corpus_options=options))
    test = tuple(made.corpus.test)
    for subject in (made.judge.written(made.generator, 10), made.judge.real(10)):
        assert subject.likelihood is not None
        assert subject.likelihood(test).tokens == 6 * len(test)
    process = made.corpus.process
    assert process is not None
    real = made.judge.real(10).likelihood
    assert real is not None
    assert real(test).nll_per_token == pytest.approx(-sum(process.log_prob(test)) / (6 * len(test)))
