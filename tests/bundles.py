"""A tiny bundle, one network of it from a stranger's distribution, and what a stranger may do to its files."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from ganlm_core.bundle import load
from ganlm_core.bundle.verify import verify
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import WeightsError
from ganlm_core.protocol import Shape
from ganlm_core.system.files import write_sums

TEXTS = ["a cat sees the dog", "the dogs see a cat"]
SMALL = """
[generator.lstm]
hidden_size = 8
embedding_size = 4

[discriminator.conv]
filters = 3
"""


def install_distribution(site, name, entry_points):
    """A distribution as pip would leave it: what discovery finds on the path."""
    folder = site / f"{name.replace('-', '_')}-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (folder / "entry_points.txt").write_text("[ganlm]\n" + "".join(f"{k} = {v}\n" for k, v in entry_points.items()))


def bundle_parts(host):
    """All that :func:`ganlm_core.bundle.save.save` wants."""
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
        "held_out": TEXTS * 5,
        "host": host,
    }


def seal(folder):
    """Checksums that agree with what a stranger made of the files."""
    (folder / "SHA256SUMS").unlink()
    write_sums(folder)


def edit(folder, name, **changes):
    data = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(data | changes))
    seal(folder)


def refused(folder, host, error=WeightsError):
    """The message with which both ``load`` and ``verify`` refuse."""
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
    """Give a file of weights other tensors."""
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
    """Not sealed: the size is looked at before the bytes, which takes less long."""
    with (folder / name).open("a") as file:
        file.truncate(size)


def replace(folder, name, make):
    """Something else in the place of a file, which a stranger's checksums list as before."""
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
