"""LeakGAN's training: its losses by hand, which phase trains which network, the leak, and whole runs."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ganlm_conv.networks import ConvDiscriminator
from ganlm_leakgan.algorithm import LeakGAN, arrivals, intrinsic_reward, manager_loss, plan
from ganlm_leakgan.networks import LeakGenerator
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.bundle import load
from ganlm_core.bundle.verify import verify
from ganlm_core.config.make_config import make_config
from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import UsageError
from ganlm_core.system.tensors import read_into
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.setup import Setup, prepare
from ganlm_core.training.train import execute

WARM = {"warmup": 1 / 3, "alternate": 2}


def config(generator: str = "leakgan", discriminator: str = "conv", **settings: Any) -> RunConfig:
    """Return a configuration of six steps: two on real text, the first with a discriminator step, and four rounds."""
    sizes: dict[str, Any] = {
        "generator_options": {"hidden_size": 6, "goal_size": 3, "feature_embedding_size": 4, "filters": 3},
        "discriminator_options": {"embedding_size": 4, "filters": 3},
        "algorithm_options": WARM,
    }
    others = {"generator_options": {}, "discriminator_options": {}, "algorithm_options": WARM}
    usual: dict[str, Any] = {
        "recipe": "leakgan",
        "steps": 6,
        "batch_size": 8,
        "evaluation_samples": 20,
        "log_every": 1,
        "checkpoint_every": 4,
        "device": "cpu",
        "corpus_options": {"size": 300},
    }
    fitting = (generator, discriminator) == ("leakgan", "conv")
    return make_config(generator, discriminator, **usual | (sizes if fitting else others) | settings)


def networks(experiment: Setup) -> tuple[LeakGAN, LeakGenerator, ConvDiscriminator]:
    algorithm = experiment.trainer.algorithm
    assert isinstance(algorithm, LeakGAN)
    return algorithm, algorithm.generator, algorithm.discriminator


# Two sentences, of three words and of one word, with features of two dimensions. Values after the end are outliers.
MASK = torch.tensor([[True, True, True], [True, False, False]])
FEATURES = torch.tensor(
    [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 2.0], [-99.0, 7.0], [5.0, -99.0]]]
)
GOALS = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0], [0.6, 0.8]]])
VALUES = torch.tensor([[10.0, 20.0, 30.0], [40.0, 500.0, 600.0]])
DIAGONAL = math.sqrt(1 / 2)
"""The cosine between a change by (1, 1) and a goal along an axis."""


def test_a_goal_is_due_after_the_horizon_or_at_the_end() -> None:
    assert arrivals(MASK, horizon=2).tolist() == [[2, 3, 3], [1, 1, 1]]


def test_the_loss_of_the_manager_by_hand() -> None:
    """The goals of the first sentence are due at prefixes 2, 3, 3 with values 20, 30, 30; the second at 1 with 40."""
    expected = -(20 * DIAGONAL + 30 * DIAGONAL + 30 * 1 + 40 * 1) / 4
    assert manager_loss(FEATURES, GOALS, MASK, 2, VALUES).item() == pytest.approx(expected)
    on_real_text = -(DIAGONAL + DIAGONAL + 1 + 1) / 4
    assert manager_loss(FEATURES, GOALS, MASK, 2).item() == pytest.approx(on_real_text)


def test_the_intrinsic_reward_by_hand() -> None:
    """The first word has one goal, later words have two."""
    reward = intrinsic_reward(FEATURES, GOALS, horizon=2)
    assert reward[0].tolist() == pytest.approx([1, (1 + DIAGONAL) / 2, (1 + DIAGONAL) / 2])
    assert reward[1, 0].item() == pytest.approx(1)
    # A horizon longer than the sentence uses all goals so far: f_3 - f_0 = (2, 1) against (1, 0).
    assert intrinsic_reward(FEATURES, GOALS, 9)[0, 2].item() == pytest.approx((1 + DIAGONAL + 2 / math.sqrt(5)) / 3)


def test_rewards_belong_to_their_sentences_and_do_not_depend_on_padding() -> None:
    loss, reward = manager_loss(FEATURES, GOALS, MASK, 2, VALUES), intrinsic_reward(FEATURES, GOALS, 2)
    swapped = [each.flip(0) for each in (FEATURES, GOALS, MASK, VALUES)]
    assert manager_loss(*swapped[:3], 2, swapped[3]).item() == pytest.approx(loss.item())
    assert torch.equal(intrinsic_reward(*swapped[:2], 2).flip(0), reward)
    behind = ~torch.nn.functional.pad(MASK, (1, 0), value=True).unsqueeze(-1)
    others = [FEATURES.masked_fill(behind, 3.0), GOALS.masked_fill(~MASK.unsqueeze(-1), 2.0), MASK]
    assert manager_loss(*others, 2, VALUES.masked_fill(~MASK, -7.0)).item() == pytest.approx(loss.item())
    assert torch.equal(intrinsic_reward(*others[:2], 2)[MASK], reward[MASK])


def state(experiment: Setup) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in experiment.trainer.algorithm.state_dict().items()}


def moved(experiment: Setup, phases: list[str], step: int) -> set[str]:
    """Return what the named phases of a step change: ``generator.manager``, ``discriminator`` and so on."""
    algorithm, before = experiment.trainer.algorithm, state(experiment)
    chosen = [phase for phase in algorithm.phases(step) if phase.name in phases]
    assert [phase.name for phase in chosen] == phases
    algorithm.phases = lambda step: chosen  # type: ignore[method-assign]
    replace(experiment.trainer, steps=step + 1).train(step, lambda *_: None)
    changed = {name for name, weight in state(experiment).items() if not torch.equal(weight, before[name])}
    return {".".join(name.split(".")[: 2 if name.startswith("generator") else 1]) for name in changed}


@pytest.mark.parametrize(
    ("phase", "step", "expected"),
    [
        ("transition", 0, {"generator.manager"}),
        ("mle", 0, {"generator.worker"}),
        ("manager", 3, {"generator.manager"}),
        ("worker", 3, {"generator.worker"}),
        ("discriminator", 3, {"discriminator"}),
    ],
)
def test_each_phase_changes_its_own_module_only(phase: str, step: int, expected: set[str]) -> None:
    experiment = prepare(config())
    _, generator, discriminator = networks(experiment)
    generator.extractor.copy_from(discriminator)
    assert moved(experiment, [phase], step) == expected


def test_the_anchor_holds_the_worker_alone() -> None:
    experiment = prepare(config(algorithm_options=WARM | {"anchor": 1.0}))
    algorithm, _, _ = networks(experiment)
    logged: dict[str, set[str]] = {}
    for phase in algorithm.phases(3):
        batch = replace(experiment.trainer.batches.next(3, 6), metrics={})
        phase(batch)
        logged[phase.name] = set(batch.metrics)
    assert [name for name, metrics in logged.items() if "distance_from_start" in metrics] == ["worker"]


def test_only_the_part_of_the_phase_keeps_the_worker_loss_from_the_manager() -> None:
    """Without ``part`` the test above would fail, because the worker's logits depend on the goals."""
    experiment = prepare(config())
    algorithm, generator, _ = networks(experiment)
    (worker,) = [phase for phase in algorithm.phases(3) if phase.name == "worker"]
    loss = worker.loss(experiment.trainer.batches.next(3, 6))
    gradients = torch.autograd.grad(loss, list(generator.manager.parameters()))
    assert any(gradient.any() for gradient in gradients)
    assert worker.part is generator.worker


def test_the_copy_agrees_with_the_discriminator_after_a_round() -> None:
    experiment = prepare(config())
    _, generator, discriminator = networks(experiment)
    tokens = experiment.trainer.batches.next(0, 1).tokens

    def same() -> bool:
        discriminator.eval()
        features, _ = plan(generator, torch.zeros(len(tokens), 32), tokens)
        expected = discriminator.features(tokens, torch.ones_like(tokens, dtype=torch.bool))
        return torch.allclose(features[:, -1], expected, atol=1e-6)

    assert not same()
    changed = moved(experiment, ["discriminator", "manager", "worker"], step=3)
    assert changed == {"discriminator", "generator.extractor", "generator.manager", "generator.worker"}
    assert same()


def names(algorithm: LeakGAN) -> list[list[str]]:
    return [[phase.name for phase in algorithm.phases(step)] for step in range(6)]


def test_the_discriminator_trains_in_the_warm_up_too() -> None:
    text, rounds = ["transition", "mle"], ["discriminator", "manager", "worker"]
    algorithm, *_ = networks(prepare(config()))
    assert names(algorithm) == [["discriminator", *text], text, rounds, rounds, rounds, rounds]
    assert algorithm.adversarial_from == 2
    often = {**WARM, "interleave": 3, "discriminator_steps": 2}
    algorithm, *_ = networks(prepare(config(algorithm_options=often)))
    twice = ["discriminator", *rounds]
    assert names(algorithm) == [["discriminator", *text], text, twice, twice, [*twice, *text], twice]


def test_the_worker_reward_is_the_weighted_sum_of_both_rewards() -> None:
    """With the same seed, the loss for both rewards is the sum of the losses for one reward each."""
    losses = []
    for intrinsic, extrinsic in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        options = {**WARM, "intrinsic": intrinsic, "extrinsic": extrinsic}
        experiment = prepare(config(algorithm_options=options, estimator_options={"samples": 1}))
        algorithm, *_ = networks(experiment)
        batch = experiment.trainer.batches.next(3, 6)
        torch.manual_seed(0)
        losses.append(algorithm.phases(3)[-1].loss(batch).item())
    assert losses[0] + losses[1] == pytest.approx(losses[2], rel=1e-4)
    assert abs(losses[0]) > 1e-3 < abs(losses[1])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return execute(config(), out=tmp_path_factory.mktemp("leakgan") / "run")


def test_the_metrics_have_a_loss_for_every_phase(run: RunFolder) -> None:
    records = [record for record in run.metrics.read() if "evaluation" not in record]
    assert {"discriminator_loss", "transition_loss", "mle_loss"} <= records[0].keys()
    assert {"manager_loss", "worker_loss", "intrinsic_reward", "reward", "accuracy"} <= records[-1].keys()
    assert all(math.isfinite(value) for record in records for value in record.values())


def test_the_generator_file_alone_gives_the_same_samples(run: RunFolder) -> None:
    assert verify(run.bundle)[-1].detail == "identical"
    model = load.load(run.bundle)
    _, generator, _ = networks(prepare(config(seed=1)))
    noise = torch.randn(4, model.shape.noise)
    expected = sampling.sample(model.generator, noise, rng=torch.Generator().manual_seed(0))
    assert not torch.allclose(generator(noise, expected.tokens), model.generator(noise, expected.tokens))
    read_into(run.bundle / "generator.safetensors", generator)
    found = sampling.sample(generator, noise, rng=torch.Generator().manual_seed(0))
    assert torch.equal(found.tokens, expected.tokens) and torch.equal(found.log_probs, expected.log_probs)


def test_a_resumed_run_ends_with_the_same_bytes(run: RunFolder, tmp_path: Path) -> None:
    again = shutil.copytree(run.path, tmp_path / "run")
    shutil.rmtree(again / "bundle")
    shutil.rmtree(again / "checkpoints" / "step-00000006")
    assert files(execute(config(), resume=again).bundle) == files(run.bundle)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"generator": "lstm"},
            "algorithm 'leakgan' trains a manager and a worker, and LSTMGenerator has none; choose --gen leakgan",
        ),
        (
            {"discriminator": "lstm"},
            "algorithm 'leakgan' leaks the features of a text CNN, which its generator reads word by word, and "
            "LSTMDiscriminator has other features; choose --disc conv",
        ),
        (
            {"discriminator": "multi-embedding"},
            "algorithm 'leakgan' leaks the features of a text CNN, which its generator reads word by word, and "
            "MultiEmbeddingDiscriminator has other features; choose --disc conv",
        ),
        (
            {"discriminator_options": {"filters": 7}},
            "algorithm 'leakgan' needs a generator that reads features of the discriminator's sizes; set "
            "--gen.feature-embedding-size, --gen.widths, --gen.filters and --gen.highway to the values of "
            "--disc.embedding-size, --disc.widths, --disc.filters and --disc.highway",
        ),
        (
            {"discriminator_options": {"padding": False}},
            "algorithm 'leakgan' reads features of prefixes, which are often shorter than a filter; set --disc.padding",
        ),
        (
            {"estimator": "reinforce"},
            "algorithm 'leakgan' values prefixes by rollouts, and Reinforce makes none; choose --estimator rollout",
        ),
        (
            {"generator_optimizer": "lbfgs"},
            "algorithm 'leakgan' moves a part of the generator at a time, and lbfgs moves all of it; "
            "choose another optimiser in [optimizer.generator]",
        ),
    ],
)
def test_leakgan_refuses_components_that_it_cannot_train(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        prepare(config(**settings))
    assert str(error.value) == message


def test_a_reward_that_the_worker_is_not_paid_is_refused() -> None:
    reward: dict[str, Any] = {"reward": {"regex": {}}}
    with pytest.raises(UsageError) as error:
        prepare(config(**reward))
    assert str(error.value) == (
        "algorithm 'leakgan' pays a reward to its worker, which writes the words, only with --algorithm.extrinsic "
        "above 0, and it is 0; set it, or leave out --reward"
    )
    prepare(config(**reward, algorithm_options=WARM | {"extrinsic": 1.0}))


def test_leakgan_refuses_lbfgs_in_its_warm_up_too() -> None:
    other = config(generator_optimizer="lbfgs").optimizers["generator"]
    chosen = config()
    with pytest.raises(UsageError, match=r"lbfgs moves all of it; choose another .* in \[optimizer.generator_warmup\]"):
        prepare(replace(chosen, optimizers={**chosen.optimizers, "generator_warmup": other}))


@pytest.mark.parametrize("recipe", ["autoregressive", "relgan"])
def test_other_methods_train_the_generator_too(recipe: str, tmp_path: Path) -> None:
    """Both relaxed words and policy gradients train it. Nothing leaks: the copy keeps its initial weights."""
    settings = {"recipe": recipe, "algorithm_options": {"warmup": 0.5}}
    experiment = prepare(config("leakgan", "mlp", **settings))
    before = state(experiment)
    run = execute(config("leakgan", "mlp", **settings), out=tmp_path / "run")
    after = load.load(run.bundle).generator.state_dict()
    for name, weight in after.items():
        assert torch.equal(weight, before[f"generator.{name}"]) == name.startswith(("extractor.", "prior")), name
