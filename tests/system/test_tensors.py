"""Tensors to and from safetensors: written whole and in one order, read strictly."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ganlm_core.errors import WeightsError
from ganlm_core.system.header import read_header
from ganlm_core.system.tensors import check_header, check_state, read_into, read_tensors, write_tensors


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.output = nn.Linear(3, 5)
        self.output.weight = self.embedding.weight


def test_tied_and_strided_tensors_are_written_whole(tmp_path):
    path, tied, other = tmp_path / "tied.safetensors", Tied(), Tied()
    write_tensors(path, tied.state_dict(), {"b": 1, "a": 2})
    read_into(path, other)
    assert other.output.weight is other.embedding.weight
    assert other.embedding.weight.equal(tied.embedding.weight)
    assert load_file(path)["output.weight"].equal(tied.embedding.weight)
    assert read_header(path).metadata == {"ganlm": '{"a": 2, "b": 1}'}

    base = torch.arange(12.0).view(3, 4)
    write_tensors(path, {"turned": base.T, "spread": torch.ones(1).expand(3)}, {})
    back = read_tensors(path)
    assert back["turned"].equal(base.T) and back["spread"].tolist() == [1, 1, 1]


def test_reading_is_strict(tmp_path):
    path = tmp_path / "linear.safetensors"
    state = nn.Linear(2, 1).state_dict()
    more = {f"extra{i}": torch.ones(1) for i in range(5)}
    write_tensors(path, state | more, {})
    advice = "it is of another architecture; use the options and the version it was made with"
    with pytest.raises(WeightsError) as caught:
        read_into(path, nn.Linear(2, 1))
    assert str(caught.value) == f"{path} has the extra tensors extra0, extra1, extra2 and 2 more: {advice}"
    with pytest.raises(WeightsError) as caught:
        check_state(path, {"weight": state["weight"]}, nn.Linear(2, 1))
    assert str(caught.value) == f"{path} lacks bias: {advice}"
    write_tensors(path, state, {})
    with pytest.raises(WeightsError, match=r"differs in bias \(F32 \[1\], wanted F64 \[1\]\), weight"):
        check_header(path, read_header(path), nn.Linear(2, 1, dtype=torch.float64, device="meta"))
