"""The work that is measured: in our implementation, in the textbook's and often as a hand-written loop; its goals."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ganlm_core import sampling
from ganlm_core.algorithms.adversarial import discriminator_loss, generator_loss
from ganlm_core.algorithms.mle import MLE, negative_log_likelihood
from ganlm_core.cli.bench import handwritten, textbook
from ganlm_core.components import NoOptions
from ganlm_core.config.make_config import make_config
from ganlm_core.data.batches import Batches
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import EOS, Algorithm, Batch, Parts, Shape, mask_of
from ganlm_core.training.building import plain_parts
from ganlm_core.training.loop import Trainer
from ganlm_core.training.optimizers import ScheduledOptimizer, build_optimizer


@dataclass(frozen=True)
class Sizes:
    """Sizes of the measured work. ``long`` is the length of the transformer's sequences."""

    vocabulary: int = 5000
    length: int = 20
    batch: int = 64
    rollouts: int = 16
    long: int = 128


SHORT = Sizes(length=10, rollouts=2, long=32)
"""Sizes that take seconds instead of minutes."""


@dataclass(frozen=True)
class Work:
    """The same work in our implementation, in the textbook's, and as the loop that a good programmer writes.

    Without a ``hand``-written loop, such a programmer would write the textbook's.
    """

    ours: Callable[[], object]
    textbook: Callable[[], object]
    hand: Callable[[], object] | None = None


def make_parts(recipe: str, shape: Shape, **settings: Any) -> tuple[Parts, dict[str, ScheduledOptimizer]]:
    """Build the parts that a recipe names, and an optimiser for each network."""
    config, host = make_config(recipe=recipe, **settings), Host.discover(no_plugins=True)

    parts = plain_parts(host, config, shape, steps=1)
    networks = {"generator": parts.generator, "discriminator": parts.discriminator}
    optimizers = {
        kind: build_optimizer(config.optimizers[kind], network.parameters()) for kind, network in networks.items()
    }
    return parts, optimizers


def make_batch(shape: Shape, rows: int) -> Batch:
    """Return random sentences of the full length."""
    tokens = torch.randint(EOS + 1, shape.vocabulary, (rows, shape.length))
    return Batch(tokens, mask_of(tokens), torch.randn(rows, shape.noise))


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take a step as the loop does: backward only into the network that is updated."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)
    optimizer.step()


LSTM_SIZES = {"embedding_size": 32, "hidden_size": 32}
PLAIN = LSTM_SIZES | {"dropout": 0.0, "tie": False}
CRITIC = {"dropout": 0.0, "blur": 0.0}
"""The networks of the textbook, which has no dropout and no noise."""


def make_seqgan(shape: Shape, **settings: Any) -> tuple[Parts, dict[str, ScheduledOptimizer]]:
    return make_parts("seqgan", shape, generator_options=PLAIN, discriminator_options=CRITIC, **settings)


def policy_gradient(sizes: Sizes) -> Work:
    """Return SeqGAN's generator step, including its rollouts and their rewards."""
    shape = Shape(sizes.vocabulary, sizes.length, noise=0)
    samples = {"samples": sizes.rollouts}
    parts, optimizers = make_seqgan(shape, estimator_options=samples)
    batch = make_batch(shape, sizes.batch)
    generator = textbook.LSTM(sizes.vocabulary, **LSTM_SIZES)
    critic = textbook.TextCNN(sizes.vocabulary, 32, [2, 3, 4, 5], 64)
    adam, fused, amount = torch.optim.Adam(generator.parameters()), handwritten.adam(generator), _amount(sizes)
    return Work(
        lambda: _step(optimizers["generator"].optimizer, generator_loss(parts, batch)),
        lambda: textbook.policy_gradient_step(generator, critic, adam, *amount),
        lambda: handwritten.policy_gradient_step(generator, critic, fused, *amount),
    )


def _amount(sizes: Sizes) -> tuple[int, int, int]:
    return sizes.batch, sizes.length, sizes.rollouts


def lstm_sampling(sizes: Sizes) -> Work:
    """Return the sampling of sentences from the LSTM."""
    shape = Shape(sizes.vocabulary, sizes.length, noise=0)
    parts, _ = make_seqgan(shape)
    plain, noise = textbook.LSTM(sizes.vocabulary, **LSTM_SIZES), torch.randn(sizes.batch, 0)
    return Work(
        lambda: sampling.sample(parts.generator, noise),
        lambda: textbook.sample(plain, sizes.batch, sizes.length),
        lambda: handwritten.sample(plain, sizes.batch, sizes.length),
    )


def likelihood(sizes: Sizes) -> Work:
    """Return a step of maximum likelihood of the LSTM."""
    shape = Shape(sizes.vocabulary, sizes.length, noise=0)
    parts, optimizers = make_seqgan(shape)
    batch, plain = make_batch(shape, sizes.batch), textbook.LSTM(sizes.vocabulary, **LSTM_SIZES)
    adam, fused = torch.optim.Adam(plain.parameters()), handwritten.adam(plain)
    return Work(
        lambda: _step(optimizers["generator"].optimizer, negative_log_likelihood(parts.generator, batch)),
        lambda: textbook.likelihood_step(plain, adam, batch.tokens),
        lambda: handwritten.likelihood_step(plain, fused, batch.tokens),
    )


def discriminating(sizes: Sizes) -> Work:
    """Return a step of SeqGAN's discriminator on real sentences and as many that are drawn for it."""
    shape = Shape(sizes.vocabulary, sizes.length, noise=0)
    parts, optimizers = make_seqgan(shape)
    batch, plain = make_batch(shape, sizes.batch), textbook.LSTM(sizes.vocabulary, **LSTM_SIZES)
    critic = textbook.TextCNN(sizes.vocabulary, 32, [2, 3, 4, 5], 64)
    adam, fused = torch.optim.Adam(critic.parameters()), handwritten.adam(critic)
    return Work(
        lambda: _step(optimizers["discriminator"].optimizer, discriminator_loss(parts, batch)),
        lambda: textbook.discriminator_step(plain, critic, adam, batch.tokens),
        lambda: handwritten.discriminator_step(plain, critic, fused, batch.tokens),
    )


def relativistic(sizes: Sizes) -> Work:
    """Return RelGAN's generator step and discriminator step."""
    shape = Shape(sizes.vocabulary, sizes.length, noise=32)
    without = {"generator_options": {"dropout": 0.0}, "discriminator_options": CRITIC}
    parts, optimizers = make_parts("relgan", shape, **without)
    batch = make_batch(shape, sizes.batch)

    def iteration() -> None:
        _step(optimizers["generator"].optimizer, generator_loss(parts, batch))
        _step(optimizers["discriminator"].optimizer, discriminator_loss(parts, batch))

    generator: Any = parts.generator
    plain = {name: scheduled.optimizer for name, scheduled in optimizers.items()}
    return Work(
        iteration,
        lambda: textbook.relativistic_iteration(generator, parts.discriminator, plain, batch.tokens, batch.noise),
    )


def transformer_sampling(sizes: Sizes) -> Work:
    """Return the sampling of long sequences from the transformer."""
    shape = Shape(sizes.vocabulary, sizes.long, noise=0)
    parts, _ = make_parts("autoregressive", shape, generator="transformer")
    scale = {"size": 128, "heads": 4, "layers": 2}
    plain, noise = textbook.Transformer(sizes.vocabulary, sizes.long, **scale), torch.randn(sizes.batch, 0)
    gpt2 = cache(lambda: handwritten.gpt2(sizes.vocabulary, sizes.long, **scale))  # a slow import
    return Work(
        lambda: sampling.sample(parts.generator, noise),
        lambda: textbook.sample_without_cache(plain, sizes.batch, sizes.long),
        (lambda: handwritten.sample_from_gpt2(gpt2(), sizes.batch, sizes.long))
        if handwritten.has_transformers()
        else None,
    )


def _one_shot(sizes: Sizes, generator: str) -> Work:
    shape = Shape(sizes.vocabulary, sizes.length, noise=32)
    parts, _ = make_parts("one-shot", shape, generator=generator)
    noise = torch.randn(sizes.batch, shape.noise)
    return Work(
        lambda: sampling.sample(parts.generator, noise),
        lambda: textbook.sample_at_once(parts.generator, noise),
        lambda: handwritten.sample_at_once(parts.generator, noise),
    )


def mlp_sampling(sizes: Sizes) -> Work:
    """Return the sampling of sentences from the MLP, all positions at once."""
    return _one_shot(sizes, "mlp")


def conv_sampling(sizes: Sizes) -> Work:
    """Return the sampling of sentences from the convolutional generator, all positions at once."""
    return _one_shot(sizes, "conv")


def training_step() -> Work:
    """Return a maximum-likelihood step at the default sizes, in the loop and alone: the cheapest step there is."""
    shape = Shape(200, 20, noise=32)
    parts, optimizers = make_parts("mle", shape)
    sentences = make_batch(shape, 1000)
    batches = Batches(sentences.tokens, 64, 0, shape.noise, torch.device("cpu"))
    algorithm: Algorithm = MLE(parts, NoOptions())
    batch = batches.next(0, 1)

    def bare() -> None:
        _step(optimizers["generator"].optimizer, negative_log_likelihood(parts.generator, batch))

    trainer = Trainer(algorithm, optimizers, batches, steps=1, clip=1.0)
    return Work(lambda: trainer.train(0, lambda step, metrics: None), bare)


@dataclass(frozen=True)
class Goal:
    """A work with its goals.

    ratio     how many times faster than the textbook it should be; 0: no goal
    hand      how many times faster than the hand-written loop it should be; 0: no goal
    products  how many times the time of its matrix products alone it may take; 0: no goal
    """

    title: str
    work: Callable[[Sizes], Work]
    ratio: float = 0
    hand: float = 0
    products: float = 0


GOALS = (
    Goal("SeqGAN policy-gradient step", policy_gradient, ratio=17),
    Goal("sampling, LSTM", lstm_sampling, ratio=18, hand=3, products=2),
    Goal("RelGAN iteration", relativistic, ratio=3),
    Goal("sampling, transformer", transformer_sampling, ratio=10, hand=5),
    Goal("sampling, one-shot mlp", mlp_sampling, products=1.5),
    Goal("sampling, one-shot conv", conv_sampling, products=1.5),
    Goal("maximum-likelihood step", likelihood, hand=2),
    Goal("discriminator step", discriminating, hand=2),
)

OVERHEAD = 0.03
"""Largest share of a step that the loop may take."""
