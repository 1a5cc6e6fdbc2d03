import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ganlm_conv.networks import ConvDiscriminator
from ganlm_relational import ganlm_components
from ganlm_relational.networks import MultiEmbeddingDiscriminator, RelationalMemory, RelationalMemoryGenerator
from ganlm_relational.options import MultiEmbeddingOptions, RelationalMemoryOptions
from torch import Tensor, nn
from torch.nn import functional as F

from ganlm_core.algorithms.options import GumbelOptions
from ganlm_core.algorithms.relaxations import Gumbel
from ganlm_core.config.make_config import make_config
from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Shape, mask_of
from ganlm_core.testing import Case, parametrize_with_checks
from ganlm_core.training.train import execute

GENERATOR, DISCRIMINATOR = ganlm_components()
SHAPE = Shape(vocabulary=9, length=5, noise=3)
TOKENS = torch.tensor([[4, 5, 2, 0, 0], [6, 7, 8, 4, 5], [2, 0, 0, 0, 0]])

VARIANTS = [
    (GENERATOR, {"slots": 3, "heads": 4, "head_size": 8, "dropout": 0.5}),
    (DISCRIMINATOR, {"embeddings": 3, "highway": False, "widths": "1,3", "dropout": 0.5}),
]
"""Options that change the computation. tests/testing/test_conformance.py tests the defaults."""


@parametrize_with_checks(VARIANTS)
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)


def test_slots_attend_to_each_other_and_to_the_input() -> None:
    """The attention agrees with PyTorch's multi-head attention."""
    torch.manual_seed(0)
    memory, rows = RelationalMemory(heads=2, head_size=3), torch.randn(4, 5, 6)
    reference = nn.MultiheadAttention(6, 2, bias=False, batch_first=True)
    with torch.no_grad():
        # Ours orders weights by head, the reference orders them by queries, keys and values.
        weight = memory.attention.weight.unflatten(0, (2, 3, 3)).transpose(0, 1).flatten(0, 2)
        reference.in_proj_weight.copy_(weight)
        reference.out_proj.weight.copy_(torch.eye(6))
        torch.testing.assert_close(memory.attend(rows), reference(rows, rows, rows)[0])


def gated(keep: float, take: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the slots before and after a step with these gate logits, and the output of attention and MLP."""
    torch.manual_seed(0)
    memory = RelationalMemory(heads=2, head_size=3)
    slots, inputs = torch.randn(4, 2, 6), torch.randn(4, 6)
    with torch.no_grad():
        for gates in (memory.input_gates.weight, memory.slot_gates.weight):
            gates.zero_()
        memory.input_gates.bias.copy_(torch.tensor([keep] * 6 + [take] * 6))
        rows = torch.cat([slots, inputs[:, None]], dim=1)
        attended = F.layer_norm(slots + memory.attend(rows)[:, :2], (6,))
        found = F.layer_norm(attended + memory.mlp(attended), (6,))
        return slots, memory(slots, inputs), found


def test_a_closed_input_gate_keeps_the_slots() -> None:
    slots, after, _ = gated(keep=100.0, take=-100.0)
    torch.testing.assert_close(after, slots)


def test_a_closed_forget_gate_keeps_only_the_new_content() -> None:
    _, after, found = gated(keep=-100.0, take=100.0)
    torch.testing.assert_close(after, found.tanh())


def test_half_open_gates_add_half_of_each() -> None:
    slots, after, found = gated(keep=0.0, take=0.0)
    torch.testing.assert_close(after, slots / 2 + found.tanh() / 2)


def test_the_forget_gate_starts_open() -> None:
    assert RelationalMemory(heads=1, head_size=3).input_gates.bias.tolist() == [1, 1, 1, 0, 0, 0]


def test_the_initial_slots_differ_and_depend_on_the_noise() -> None:
    torch.manual_seed(0)
    generator = RelationalMemoryGenerator(SHAPE, RelationalMemoryOptions(slots=3, heads=2, head_size=2))
    still = generator.start(torch.zeros(1, SHAPE.noise))
    torch.testing.assert_close(still, torch.eye(3, 4)[None])
    moved = generator.start(torch.randn(5, SHAPE.noise))
    assert (moved - still).unique().numel() == 5 * 3 * 4
    silent = RelationalMemoryGenerator(Shape(9, 5, noise=0), RelationalMemoryOptions(slots=3, heads=2, head_size=2))
    torch.testing.assert_close(silent.start(torch.zeros(1, 0)), torch.eye(3, 4)[None])


def discriminator(embeddings: int) -> MultiEmbeddingDiscriminator:
    options = MultiEmbeddingOptions(embeddings=embeddings, embedding_size=2, filters=3, dropout=0.5)
    return MultiEmbeddingDiscriminator(SHAPE, options).eval()


def test_the_logit_is_the_mean_of_the_logits_of_the_single_embeddings() -> None:
    torch.manual_seed(0)
    three, mask = discriminator(embeddings=3), mask_of(TOKENS)
    single = ConvDiscriminator(SHAPE, MultiEmbeddingOptions(embedding_size=2, filters=3)).eval()
    weights = {name: weight for name, weight in three.state_dict().items() if name != "embedding.weight"}
    logits = []
    for embedding in three.embedding.weight.detach().split(2, dim=1):
        single.load_state_dict({**weights, "embedding.weight": embedding})
        logits.append(single(TOKENS, mask))
    assert not torch.allclose(logits[0], logits[1])
    torch.testing.assert_close(three(TOKENS, mask), torch.stack(logits).mean(dim=0))


def test_one_embedding_is_the_text_cnn() -> None:
    torch.manual_seed(0)
    one, mask = discriminator(embeddings=1), mask_of(TOKENS)
    cnn = ConvDiscriminator(SHAPE, MultiEmbeddingOptions(embedding_size=2, filters=3)).eval()
    cnn.load_state_dict(one.state_dict())
    torch.testing.assert_close(one(TOKENS, mask), cnn(TOKENS, mask))


def test_dropout_is_on_in_training_only() -> None:
    torch.manual_seed(0)
    generator = RelationalMemoryGenerator(SHAPE, RelationalMemoryOptions(dropout=0.5))
    noise = torch.randn(3, SHAPE.noise)
    assert not torch.equal(generator(noise, TOKENS), generator(noise, TOKENS))
    generator.eval()
    assert torch.equal(generator(noise, TOKENS), generator(noise, TOKENS))


def recipe(generator: str, discriminator: str) -> RunConfig:
    return make_config(
        generator,
        discriminator,
        recipe="relgan",
        steps=6,
        batch_size=8,
        evaluation_samples=20,
        log_every=1,
        device="cpu",
        corpus_options={"size": 300},
    )


@pytest.mark.parametrize(
    ("generator", "discriminator"),
    [
        ("relational-memory", "multi-embedding"),
        ("lstm", "multi-embedding"),
        ("transformer", "multi-embedding"),
        ("relational-memory", "conv"),
        ("relational-memory", "mlp"),
    ],
)
def test_the_recipe_trains_other_networks_too(generator: str, discriminator: str, tmp_path: Path) -> None:
    run = execute(recipe(generator, discriminator), out=tmp_path / "run")
    last = [record for record in run.metrics.read() if "evaluation" not in record][-1]
    assert {"generator_loss", "discriminator_loss", "accuracy"} <= last.keys()
    assert all(math.isfinite(value) for value in last.values())


def test_the_recipe_refuses_a_one_shot_generator(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        execute(recipe("mlp", "multi-embedding"), out=tmp_path / "run")
    assert str(error.value) == (
        "a maximum likelihood warm-up needs an autoregressive generator, and MLPGenerator writes all positions at "
        "once; choose another with --gen, or train it with --recipe one-shot"
    )
    assert not (tmp_path / "run").exists()


def test_the_temperature_schedule_agrees_with_the_paper() -> None:
    """Nie et al. 2019: beta = beta_max ** (n / N), with a softmax of beta times the logits.

    The recipe covers the second half of this schedule.
    """
    options = recipe("relational-memory", "multi-embedding").estimator.options
    assert isinstance(options, GumbelOptions)
    for share in (0.0, 0.25, 0.5, 1.0):
        assert 1 / Gumbel(options).temperature(share) == pytest.approx(100 ** ((1 + share) / 2))
