"""Every pair of networks, loss, penalty, estimator, optimiser and tokenizer: train, save, load, verify and resume.

The names come from the plugin host, so the components of a new plugin are tested without a change here.
"""

import itertools
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import ganlm_core
from ganlm_core.bundle.verify import verify
from ganlm_core.config.options import OPTIMIZERS
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.options import TOKENIZERS
from ganlm_core.plugins.host import default_host
from ganlm_core.protocol import Shape
from ganlm_core.training import checkpoint
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.train import execute
from tests.conftest import WARM, Ganlm, files_of, tiny_config

HOST = default_host()
GENERATORS, DISCRIMINATORS = list(HOST.specs("generator")), list(HOST.specs("discriminator"))
PAIRS = list(itertools.product(GENERATORS, DISCRIMINATORS))
COVERING = [
    (GENERATORS[number % len(GENERATORS)], DISCRIMINATORS[number % len(DISCRIMINATORS)])
    for number in range(max(len(GENERATORS), len(DISCRIMINATORS)))
]
"""Pairs with each network in at least one. What a network keeps in a checkpoint does not depend on the other one."""

KEPT = 4
"""The step of the checkpoint before the last."""


def warmup(generator: str) -> dict[str, float]:
    """Return options with a maximum likelihood warm-up if the generator has a likelihood, and an adversarial round."""
    options = HOST.spec("generator", generator).options()
    built = HOST.build("generator", generator, options, shape=Shape(vocabulary=8, length=4, noise=2))
    return WARM if built.autoregressive else {"warmup": 0, "discriminator_warmup": 0}


def pair_config(generator: str, discriminator: str) -> RunConfig:
    return tiny_config(generator, discriminator, algorithm_options=warmup(generator))


@pytest.mark.parametrize(("generator", "discriminator"), PAIRS)
def test_a_pair_trains_saves_and_loads(generator: str, discriminator: str, tmp_path: Path) -> None:
    run = execute(pair_config(generator, discriminator), out=tmp_path / "run")
    last = run.metrics.steps()[-1]
    assert {"generator_loss", "discriminator_loss"} <= last.keys()
    assert None not in last.values(), "a value is not finite"

    model = ganlm_core.load(run.path)
    assert model.discriminator is not None
    assert len(model.sample(5)) == 5
    assert all(map(math.isfinite, model.score(["the dog sleeps .", "dog the the"])))
    assert verify(run.bundle)[-1].detail == "identical"

    middle = checkpoint.at(run.checkpoints, KEPT)
    for name, network in (("generator", model.generator), ("discriminator", model.discriminator)):
        old, new = middle.network(name), network.state_dict()
        assert any(not torch.equal(old[key], new[key]) for key in new), f"the {name} did not change"


@pytest.mark.parametrize(("generator", "discriminator"), COVERING)
def test_every_network_resumes_to_the_same_bytes(generator: str, discriminator: str, tmp_path: Path) -> None:
    config = pair_config(generator, discriminator)
    run = execute(config, out=tmp_path / "run")
    saved = files_of(run.bundle)
    shutil.rmtree(run.bundle)
    checkpoint.remove_after(run.checkpoints, KEPT)
    execute(config, resume=run.path)
    assert files_of(run.bundle) == saved


def trained(folder: Path, **settings: Any) -> RunFolder:
    """Train lstm against conv; assert that all metrics are finite and the bundle verifies."""
    run = execute(tiny_config("lstm", "conv", algorithm_options=WARM, **settings), out=folder)
    assert all(None not in record.values() for record in run.metrics.steps())
    assert verify(run.bundle)[-1].detail == "identical"
    return run


@pytest.mark.parametrize("kind", ["loss", "penalty", "estimator"])
def test_every_loss_penalty_and_estimator_trains_differently(kind: str, tmp_path: Path) -> None:
    names = [name for name in HOST.specs(kind) if name != "next-word"]  # it needs a language model
    runs = {name: trained(tmp_path / name, **{kind: name}) for name in names}
    metrics = {name: run.metrics.path.read_text() for name, run in runs.items()}
    assert len(set(metrics.values())) == len(metrics) > 1


def penalised() -> list[str]:
    """Return the discriminators that can be differentiated twice."""
    found = []
    for name, spec in HOST.specs("discriminator").items():
        built = HOST.build("discriminator", name, spec.options(), shape=Shape(vocabulary=8, length=4, noise=2))
        found += [name] if built.twice_differentiable else []
    return found


@pytest.mark.parametrize("discriminator", penalised())
def test_every_discriminator_trains_with_a_gradient_penalty(discriminator: str, tmp_path: Path) -> None:
    """The first steps of both runs differ only by the penalty, which is positive."""
    losses = []
    for penalty, options in (("none", {}), ("r1", {"weight": 1000.0})):
        config = tiny_config(
            "mlp",
            discriminator,
            penalty=penalty,
            penalty_options=options,
            algorithm_options={"warmup": 0, "discriminator_warmup": 0},
            steps=1,
        )
        losses.append(execute(config, out=tmp_path / penalty).metrics.steps()[-1]["discriminator_loss"])
    assert losses[1] > losses[0]


def test_every_optimizer_trains_both_networks_differently(tmp_path: Path) -> None:
    weights = {}
    for name in OPTIMIZERS:
        options = {"weight_decay": 0.1} if name != "lbfgs" else {}  # without weight decay, adamw equals adam
        run = trained(
            tmp_path / name,
            generator_optimizer=name,
            generator_optimizer_options=options,
            discriminator_optimizer=name,
            discriminator_optimizer_options=options,
        )
        files = files_of(run.bundle)
        weights[name] = files["generator.safetensors"], files["discriminator.safetensors"]
    for network in zip(*weights.values(), strict=True):
        assert len(set(network)) == len(OPTIMIZERS)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_tokenizer_round_trips_text(name: str, tmp_path: Path) -> None:
    model = ganlm_core.load(trained(tmp_path / "run", tokenizer=name, tokenizer_options={"max_length": 16}).path)
    tokens, _ = model.tokenizer.encode(["a dog ."], model.shape.length)
    assert model.tokenizer.decode(tokens) == ["a dog ."]
    assert model.shape.length == 16
    assert any(model.sample(5))


def test_rewards_per_position_differ_from_rewards_per_sequence(tmp_path: Path) -> None:
    runs = {}
    for reward in ("position", "sequence"):
        config = tiny_config(
            "lstm",
            "lstm",
            algorithm_options=WARM,
            discriminator_options={"per_position": True, "direction": "causal"},
            estimator="reinforce",
            estimator_options={"reward": reward},
        )
        runs[reward] = execute(config, out=tmp_path / reward)
    model = ganlm_core.load(runs["position"].path)
    assert model.discriminator is not None
    assert model.discriminator.per_position
    assert all(map(math.isfinite, model.score(["the dog sleeps ."])))
    assert runs["position"].metrics.path.read_text() != runs["sequence"].metrics.path.read_text()


@pytest.mark.slow
def test_the_matrix_is_one_table_and_trains_no_pair_twice(ganlm: Ganlm, tmp_path: Path) -> None:
    """One of two pairs fails. The failure is reported, and the other pair trains."""
    sizes = ["--steps", 2, "--batch-size", 8, "--corpus.size", 300, "--evaluation-samples", 20, "--device", "cpu"]
    pairs = ["--gens", "ngram-mlp,mlp", "--discs", "mlp"]
    command = ["matrix", *pairs, "--folder", "runs", "--out", "zoo.md", *sizes, "--estimator", "rollout"]
    code, out, err = ganlm(*command)
    assert code == 1
    header, trained, failed, *others = out.splitlines()
    assert header.split()[:3] == ["generator", "discriminator", "valid"]
    assert trained.split()[:2] == ["ngram-mlp", "mlp"] and trained.split()[-1].isdecimal()
    assert failed.split()[:2] == ["mlp", "mlp"] and failed.endswith("failed")
    titles = [line.split("  ")[0] for line in others]
    assert titles == ["real text", "perfect generator", "shuffled words", "unigram model"]
    assert err.splitlines()[-1].startswith(
        "ganlm: error: 1 of 2 pairs failed; the first, mlp against mlp: estimator 'rollout' needs an autoregressive"
    )
    page = (tmp_path / "zoo.md").read_text()
    assert "Written by `ganlm matrix --gens ngram-mlp,mlp --discs mlp --steps 2 " in page
    assert "| ngram-mlp | mlp | " in page and "mlp against mlp failed: estimator 'rollout' needs" in page
    code, again, err = ganlm(*command[:2], "ngram-mlp", *command[3:])
    assert code == 0 and "training" not in err
    assert again.splitlines()[:2] == [header, trained]
