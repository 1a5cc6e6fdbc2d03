"""Old words keep their logits when a vocabulary grows, for every network that ganlm has."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlm_core.plugins.host import default_host
from ganlm_core.protocol import NEVER, Shape, mask_of
from ganlm_core.sampling.ratio import LikelihoodRatio
from ganlm_core.system.tensors import without_memory
from ganlm_core.training.growing import CannotGrow, grown_state
from tests.conftest import TINY

OLD, NEW = Shape(9, 6, 4), Shape(13, 6, 4)
IDS = torch.tensor([[4, 5, 8, 2, 0, 0], [7, 6, 5, 4, 8, 4]])
HOST = default_host()
NETWORKS = [(kind, name) for kind in ("generator", "discriminator") for name in HOST.specs(kind)]


def build(kind: str, name: str, shape: Shape) -> Any:
    spec = HOST.spec(kind, name)
    sizes = {option.name: TINY[option.name] for option in spec.options.fields() if option.name in TINY}
    return HOST.build(kind, name, spec.options.of(sizes, name), shape=shape).eval()


def grown(kind: str, name: str) -> tuple[Any, Any]:
    """Return a network with random weights, and the same network with a larger vocabulary."""
    torch.manual_seed(0)
    network, large = build(kind, name, OLD), build(kind, name, NEW)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    with without_memory():
        small = build(kind, name, OLD)
    large.load_state_dict(grown_state(network.state_dict(), small, large, OLD.vocabulary, NEW.vocabulary))
    return network, large


def test_a_new_word_is_an_average_one_of_those_that_can_occur() -> None:
    small, large = build("generator", "lstm", OLD), build("generator", "lstm", NEW)
    state = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    state["prior"] = torch.tensor([NEVER, NEVER, NEVER, NEVER, -1.0, -2.0, -3.0, -2.0, -2.0])
    found = grown_state(state, small, large, OLD.vocabulary, NEW.vocabulary)["prior"]
    assert found[:9].equal(state["prior"])
    assert found[9:].tolist() == [-2.0] * 4


@pytest.mark.parametrize("name", [name for kind, name in NETWORKS if kind == "generator"])
@torch.no_grad()
def test_old_words_keep_their_logits(name: str) -> None:
    network, large = grown("generator", name)
    noise = torch.randn(2, OLD.noise)
    before, after = network(noise, IDS), large(noise, IDS)
    assert before.shape == (2, 6, 9) and after.shape == (2, 6, 13)
    assert before.std() > 0.01
    torch.testing.assert_close(after[..., :9], before, atol=1e-5, rtol=1e-5)
    new = after[..., 9:]
    assert torch.allclose(new, new[..., :1].expand_as(new), atol=1e-5)
    assert (new[..., 0] <= before.amax(dim=-1) + 1e-5).all()


@pytest.mark.parametrize("name", [name for kind, name in NETWORKS if kind == "discriminator"])
@torch.no_grad()
def test_a_discriminator_scores_old_words_as_before(name: str) -> None:
    """A language model keeps its logits; its log-probabilities also count the new words."""
    network, large = grown("discriminator", name)
    before, after = (
        each.model(torch.zeros(2, 0), IDS)[..., : OLD.vocabulary]
        if isinstance(each, LikelihoodRatio)
        else each(IDS, mask_of(IDS))
        for each in (network, large)
    )
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    new = torch.where(IDS == 8, 12, IDS)
    assert large(new, mask_of(new)).isfinite().all()


def test_a_new_word_is_the_mean_of_the_old_words() -> None:
    small, large = nn.Embedding(3, 2), nn.Embedding(5, 2)
    weight = torch.tensor([[1.0, 0.0], [2.0, 3.0], [3.0, 6.0]])
    found = grown_state({"weight": weight}, small, large, 3, 5)["weight"]
    assert found.tolist() == [[1, 0], [2, 3], [3, 6], [2, 3], [2, 3]]


def test_both_dimensions_of_a_transition_matrix_grow() -> None:
    found = grown_state({"weight": torch.eye(2), "bias": torch.ones(2)}, nn.Linear(2, 2), nn.Linear(3, 3), 2, 3)
    assert found["weight"].tolist() == [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 0.5]]


def test_what_is_counted_behind_the_words_stays_behind_them() -> None:
    weight = torch.tensor([[1.0], [3.0], [7.0], [9.0]])
    found = grown_state({"weight": weight}, nn.Embedding(4, 1), nn.Embedding(5, 1), 2, 3, behind=2)["weight"]
    assert found.flatten().tolist() == [1, 3, 2, 7, 9]


class Module(nn.Module):
    def __init__(self, **buffers: Tensor) -> None:
        super().__init__()
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer)


@pytest.mark.parametrize(
    ("small", "large", "reason"),
    [
        ({"pairs": torch.ones(6)}, {"pairs": torch.ones(8)}, "pairs has the shape .6. for 3 words, and .8. for 4"),
        ({"table": torch.ones(3)}, {"table": torch.ones(4, 1)}, r"table has the shape \[3\] for 3 .* \[4, 1\] for 4"),
        ({"ids": torch.ones(3).long()}, {"ids": torch.ones(4).long()}, "ids has the shape"),
        ({"a": torch.ones(3)}, {"a": torch.ones(4), "b": torch.ones(1)}, "only one of the two sizes has b"),
    ],
)
def test_a_tensor_that_depends_on_the_vocabulary_in_another_way_is_refused(
    small: dict[str, Tensor], large: dict[str, Tensor], reason: str
) -> None:
    with pytest.raises(CannotGrow, match=reason):
        grown_state(small, Module(**small), Module(**large), 3, 4)


@torch.no_grad()
def test_a_tied_embedding_grows_once() -> None:
    spec = HOST.spec("generator", "lstm")
    options = spec.options.of({"hidden_size": 8, "embedding_size": 8, "tie": True}, "lstm")
    small, large = (HOST.build("generator", "lstm", options, shape=shape).eval() for shape in (OLD, NEW))
    large.load_state_dict(grown_state(small.state_dict(), small, large, OLD.vocabulary, NEW.vocabulary))
    noise = torch.randn(2, OLD.noise)
    before, after = small(noise, IDS), large(noise, IDS)
    torch.testing.assert_close(after[..., :9], before, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        after[..., 9:], before.mean(dim=-1, keepdim=True).expand(-1, -1, 4), atol=1e-5, rtol=1e-5
    )
