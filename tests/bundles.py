"""A tiny bundle with one network from another distribution, and damage to its files."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganlm_core.bundle import load
from ganlm_core.bundle.manifest import Ancestor
from ganlm_core.bundle.verify import verify
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import WeightsError
from ganlm_core.protocol import Discriminator, Shape
from ganlm_core.system.sums import write_sums

TEXTS = ["a cat sees the dog", "the dogs see a cat"]
SMALL = """
[generator.lstm]
hidden_size = 8
embedding_size = 4

[discriminator.conv]
filters = 3
"""


class Additive(Discriminator):
    """The logit is the sum of a weight for each word, for vocabularies of 6 words."""

    weights = torch.tensor([100.0, 0.0, 0.25, 0.5, 2.0, -3.0])

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return (self.weights[sequence] * mask).sum(dim=1)


def install_distribution(site, name, entry_points):
    """Write the metadata of a distribution as pip does, for discovery to find on the path."""
    folder = site / f"{name.replace('-', '_')}-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (folder / "entry_points.txt").write_text("[ganlm]\n" + "".join(f"{k} = {v}\n" for k, v in entry_points.items()))


def bundle_parts(host):
    """Return the arguments of :func:`ganlm_core.bundle.save.save`."""
    config = RunConfig.from_toml(host, SMALL)
    tokenizer = Tokenizer.train("word", TEXTS, 20)
    shape = Shape(tokenizer.vocabulary_size, 6, 3)
    torch.manual_seed(0)
    networks = {
        kind: host.build(kind, choice.name, choice.options, shape=shape)
        for kind, choice in (("generator", config.generator), ("discriminator", config.discriminator))
    }
    with torch.no_grad():  # far from uniform, so that two wrong models do not agree by chance
        for network in networks.values():
            for parameter in network.parameters():
                parameter.normal_()
    evaluation = {"before": {"nll": 12.5, "distinct": 0.5}, "after": {"nll": float("inf")}, "samples": 100, "seed": 0}
    return {
        "config": config,
        "shape": shape,
        "networks": networks,
        "tokenizer": tokenizer,
        "evaluation": evaluation,
        "corpus": {"name": "grammar", "train": "a" * 64, "validation": "b" * 64, "test": "c" * 64},
        "descent": {"generator": [Ancestor("hf:ann/poems", "e" * 40, "d" * 64), Ancestor("zoo:old", "", "f" * 64)]},
        "held_out": TEXTS * 5,
        "host": host,
    }


def seal(folder):
    """Write checksums that match the changed files."""
    (folder / "SHA256SUMS").unlink()
    write_sums(folder)


def edit(folder, name, **changes):
    data = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(data | changes))
    seal(folder)


def refused(folder, host, error=WeightsError):
    """Return the message with which ``load`` and ``verify`` both refuse."""
    messages = set()
    for act in (load.load, verify):
        with pytest.raises(error) as caught:
            act(folder, host)
        messages.add(str(caught.value))
    (message,) = messages
    assert "\n" not in message
    return message


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def change_generator(folder, **changes):
    components = json.loads((folder / "config.json").read_text())["components"]
    components["generator"] |= changes
    edit(folder, "config.json", components=components)


def rewrite(folder, name, change):
    """Change the tensors of a file of weights."""
    tensors = load_file(folder / name)
    change(tensors)
    save_file(tensors, folder / name)
    seal(folder)


def set_first(value):
    return lambda tensors: tensors["output.bias"].__setitem__(0, value)


def raw_weights(folder, text, data=b""):
    (folder / "generator.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    seal(folder)


def grow(folder, name, size):
    """Make a file larger, without new checksums: the size is checked before the bytes."""
    with (folder / name).open("a") as file:
        file.truncate(size)


def replace(folder, name, make):
    """Put something else in the place of a file; the checksums stay."""
    (folder / name).unlink()
    make(folder / name)


def write(folder, name, text):
    (folder / name).write_text(text)
    seal(folder)


def link(path):
    path.symlink_to(path.parent / "config.json")


def overlap(folder):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    raw_weights(folder, json.dumps({"a": entry, "b": entry}).encode(), b"8 bytes.")
