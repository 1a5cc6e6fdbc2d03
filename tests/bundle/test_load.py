"""Loading hostile bundles: each is refused in one line. docs/bundle.md has the same list."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ganlm_core
from ganlm_core.bundle import load
from ganlm_core.bundle.verify import verify
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import OptionError, PluginError, WeightsError
from tests.bundles import (
    change_generator,
    edit,
    grow,
    link,
    overlap,
    raw_weights,
    refused,
    replace,
    rewrite,
    set_first,
    write,
)
from tests.environments import ROOT

WORDS = ("<pad>", "<bos>", "<eos>", "<unk>", "the", "a", "cat", "dog", "dogs", "see", "sees")

BY_LOADING = {
    "a file that is missing": [
        (lambda folder, name=name: (folder / name).unlink(), f"{name} is missing; fetch or export it again")
        for name in ("generator.safetensors", "tokenizer.json", "evaluation.json", "calibration.json", "SHA256SUMS")
    ],
    "a file that was changed or cut short": [
        (
            lambda folder: (folder / "tokenizer.json").write_text("{}"),
            "tokenizer.json was changed or damaged: its SHA-256 is not the one in SHA256SUMS; fetch or export it again",
        ),
        (
            lambda folder: raw_weights(folder, (folder / "generator.safetensors").read_bytes()[8:-4]),
            "is no valid safetensors file",
        ),
    ],
    "a listed file name with other characters than letters, digits, `.`, `_` and `-`": [
        (
            lambda folder: (folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../passwd\n"),
            "SHA256SUMS lists '../passwd', which is no plain file name; do not use it",
        )
    ],
    "a symbolic link": [
        (
            lambda folder: replace(folder, "tokenizer.json", link),
            "tokenizer.json is a symbolic link; a bundle holds plain files only; use hf:OWNER/NAME@REVISION",
        )
    ],
    "a folder, pipe or device in the place of a file": [
        (lambda folder: replace(folder, "tokenizer.json", os.mkfifo), "tokenizer.json is not a plain file; fetch or"),
        (lambda folder: replace(folder, "config.json", os.mkdir), "config.json is not a plain file; fetch or"),
    ],
    "a JSON file or list of checksums above 8 MiB": [
        (
            lambda folder: grow(folder, "config.json", 8 * 2**20 + 1),
            "config.json has 8388609 bytes, more than the 8388608 allowed; fetch or export it again",
        ),
        (
            lambda folder: write(folder, "tokenizer.json", " " * (8 * 2**20 + 1)),
            "tokenizer.json has 8388609 bytes, more than the 8388608 allowed; fetch or export it again",
        ),
        (
            lambda folder: grow(folder, "SHA256SUMS", 8 * 2**20 + 1),
            "SHA256SUMS has 8388609 bytes, more than the 8388608 allowed; fetch or export it again",
        ),
    ],
    "a text file above 64 MiB": [
        (
            lambda folder: grow(folder, "tokenizer.json", 500 * 10**6),
            "tokenizer.json has 500000000 bytes, more than the 67108864 allowed; fetch or export it again",
        )
    ],
    "JSON that is not valid, has a key twice or holds a number that is not valid": [
        (lambda folder: write(folder, "config.json", "{"), "config.json is not valid JSON"),
        (lambda folder: write(folder, "config.json", '{"a": 1, "a": 1}'), "the key 'a' is there twice"),
        (lambda folder: write(folder, "evaluation.json", '{"a": NaN}'), "evaluation.json is not valid JSON (NaN is no"),
        (lambda folder: write(folder, "evaluation.json", "[" * 10**5), "evaluation.json is not valid JSON"),
        (lambda folder: write(folder, "calibration.json", "{"), "calibration.json is not valid JSON"),
    ],
    "a newer format version, or another format": [
        (
            lambda folder: edit(folder, "config.json", format_version=2),
            "config.json was made by a newer ganlm (format 2); this one reads 1: upgrade ganlm",
        ),
        (
            lambda folder: edit(folder, "config.json", format="other"),
            "config.json is not the config.json of a bundle: its format is 'other'; give another folder",
        ),
    ],
    "impossible sizes": [
        (
            lambda folder: edit(folder, "config.json", shape={"vocabulary": 11, "length": 0, "noise": 3}),
            "config.json has impossible networks or sizes",
        ),
        (
            lambda folder: edit(folder, "config.json", shape={"vocabulary": 11, "length": 2**16 + 1, "noise": 3}),
            "config.json has impossible networks or sizes",
        )
    ],
    "a word in the place of a number of `evaluation.json`": [
        (
            lambda folder: edit(folder, "evaluation.json", samples="many"),
            "evaluation.json: samples is 'many'; wanted a number",
        ),
    ],
    "a calibration that is not valid": [
        (
            lambda folder: edit(folder, "calibration.json", slope="1"),
            "calibration.json is not a calibration ('a value that is not a number'); fetch or export it again",
        ),
        (
            lambda folder: edit(folder, "calibration.json", slope=10**400),
            "calibration.json is not a calibration (",
        ),
        (
            lambda folder: edit(folder, "calibration.json", more=1),
            "calibration.json is not a calibration (\"Calibration.__init__() got an unexpected keyword argument",
        ),
    ],
    "options that ask for more layers than there are weights": [
        (
            lambda folder: change_generator(folder, options={"layers": 10**9, "hidden_size": 8, "embedding_size": 4}),
            "config.json: the generator cannot be built with its options: 'it asks for more than the 10 tensors that "
            "there are'; fetch or export it again",
        )
    ],
    "options that the component does not take": [
        (
            lambda folder: change_generator(folder, options={"size": 8}),
            "config.json: there is no generator 'lstm' option 'size'",
        )
    ],
    "a safetensors header above 8 MiB or longer than its file": [
        (lambda folder: raw_weights(folder, b" " * (8 * 2**20 + 1)), "and wants a header of 8388609; fetch or export"),
        (lambda folder: write(folder, "generator.safetensors", "12345678"), "it has 8 bytes and wants a header of"),
    ],
    "tensors that overlap, leave gaps or are there twice": [
        (overlap, "generator.safetensors is no valid safetensors file: tensor 'b' overlaps the one before"),
        (lambda folder: raw_weights(folder, b'{"a": 1, "a": 1}'), "the key 'a' is there twice"),
    ],
    "tensors of another architecture": [
        (
            lambda folder: rewrite(folder, "generator.safetensors", lambda tensors: tensors.pop("output.bias")),
            "generator.safetensors lacks output.bias: it is of another architecture; use the options and the version",
        ),
        (
            lambda folder: rewrite(
                folder, "generator.safetensors", lambda tensors: tensors.update(more=torch.zeros(1))
            ),
            "generator.safetensors has the extra tensors more: it is of another architecture",
        ),
    ],
    "tensors of another dtype, except BF16 and F16 for float32": [
        (
            lambda folder: rewrite(
                folder, "generator.safetensors", lambda tensors: tensors.update(prior=tensors["prior"].double())
            ),
            "generator.safetensors differs in prior (F64 [11], wanted F32 [11])",
        )
    ],
    "values that are not finite": [
        (
            lambda folder, value=value: rewrite(folder, "generator.safetensors", set_first(value)),
            "generator.safetensors: output.bias has values that are not finite; train again with a lower learning rate",
        )
        for value in (float("nan"), float("-inf"))
    ],
    "a tokenizer of another size or with other special tokens": [
        (
            lambda folder: write(folder, "tokenizer.json", Tokenizer.train("word", ["one two"], 20).to_json()),
            "tokenizer.json has 6 tokens, config.json says 11; fetch or export it again",
        ),
        (
            lambda folder: write(
                folder, "tokenizer.json", (folder / "tokenizer.json").read_text().replace("<eos>", "e")
            ),
            "tokenizer.json: the tokenizer has the ids [0, 1, None, 3] for",
        ),
        (
            lambda folder: write(folder, "tokenizer.json", "{}"),
            "tokenizer.json: not a tokenizer in the Hugging Face format",
        ),
        (  # in which the library panics
            lambda folder: edit(
                folder, "tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}
            ),
            "tokenizer.json: the tokenizer has settings that none of word, char, bpe and smiles has",
        ),
    ],
    "a tokenizer with parts that ganlm does not train": [
        (
            lambda folder, part=part: edit(folder, "tokenizer.json", **part),
            "tokenizer.json: the tokenizer has settings that none of word, char, bpe and smiles has; "
            "fetch or export it again",
        )
        for part in (
            {"normalizer": {"type": "Replace", "pattern": {"Regex": "(a*)*b"}, "content": "x"}},
            {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a*)*b"}, "behavior": "Removed", "invert": True}},
            {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
            {"decoder": {"type": "Strip", "content": "a", "start": 10**9, "stop": 10**9}},
            {"model": {"type": "WordLevel", "unk_token": "none", "vocab": dict(zip(WORDS, range(11), strict=True))}},
        )
    ],
}  # fmt: skip
MISSING_PLUGINS = {
    "a component whose plugin is not installed": [
        (
            lambda folder: change_generator(folder, distribution="other-lstm", version="3.0"),
            "config.json: the generator 'lstm' is from other-lstm 3.0, which is not installed; "
            "if you trust it: pip install other-lstm",
        ),
        (
            lambda folder: change_generator(folder, name="mine", distribution="mine.py", version=""),
            "config.json: the generator 'mine' is from mine.py, which is not installed; "
            "if you trust it: load it with --plugin mine.py",
        ),
    ],
    "a component made for a newer plugin API": [
        (
            lambda folder: change_generator(folder, api=2),
            "config.json: the generator 'lstm' is made for plugin API 2; this ganlm has 1: upgrade ganlm",
        )
    ],
    "a module in the place of a component's name": [
        (
            lambda folder: change_generator(folder, name="os:system"),
            "config.json: the generator 'os:system' is from ganlm-lstm 0.1.0, which is not installed",
        )
    ],
}
BY_VERIFY = {
    "a file that is not listed": [
        (lambda folder: (folder / "more.bin").write_text(""), "has 'more.bin', which SHA256SUMS does not list; remove")
    ],
    "a card, recipe or self-test that was changed": [
        *(
            (lambda folder, name=name: (folder / name).write_text(""), f"{name} was changed or damaged")
            for name in ("README.md", "recipe.toml", "selftest.json")
        ),
        (lambda folder: write(folder, "recipe.toml", "["), "recipe.toml is not valid TOML"),
    ],
    "a recipe above 1 MiB": [
        (
            lambda folder: write(folder, "recipe.toml", "#" * (2**20 + 1)),
            "recipe.toml has 1048577 bytes, more than the 1048576 allowed; fetch or export it again",
        )
    ],
    "a self-test that gives other numbers": [
        (
            lambda folder: rewrite(folder, "generator.safetensors", lambda tensors: tensors["output.bias"].add_(0.01)),
            "selftest.json: the networks give ",
        )
    ],
}


def cases(table):
    return [pytest.param(*case, id=f"{name} {i}") for name, cases in table.items() for i, case in enumerate(cases)]


ADVICE = re.compile(
    r"[;:] (fetch|do not use|use|upgrade|give|train|remove|convert|(if you trust it: )?(pip install|load)) ?\b.*$"
)
"""The advice at the end of every refusal."""


@pytest.mark.parametrize(("craft", "message"), cases(BY_LOADING))
def test_hostile_bundles_that_loading_refuses(copy, host, craft, message):
    craft(copy)
    said = refused(copy, host)
    assert said.startswith(str(copy)) and message in said and ADVICE.search(said)


@pytest.mark.parametrize(("craft", "message"), cases(MISSING_PLUGINS))
def test_bundles_whose_plugins_are_missing(copy, host, craft, message):
    craft(copy)
    said = refused(copy, host, PluginError)
    assert said.startswith(str(copy)) and message in said and ADVICE.search(said)


@pytest.mark.parametrize(("craft", "message"), cases(BY_VERIFY))
def test_hostile_bundles_that_verify_refuses(copy, host, craft, message):
    craft(copy)
    with pytest.raises(WeightsError) as caught:
        verify(copy, host)
    said = str(caught.value)
    assert said.startswith(str(copy)) and message in said and ADVICE.search(said)
    assert "\n" not in said


def test_the_documentation_lists_what_is_refused_and_no_more():
    page = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+) \| (loading|verify) \|$", page, re.M)
    assert {name for name, by in rows if by == "loading"} == BY_LOADING.keys() | MISSING_PLUGINS.keys()
    assert {name for name, by in rows if by == "verify"} == BY_VERIFY.keys()
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{'0' * 64}  ../../etc/passwd", "lists '../../etc/passwd', which is no plain file name; do not use it"),
        (f"{'0' * 64}  ..", "lists '..', which is no plain file name; do not use it"),
        (f"{'0' * 64}  a\\b", "lists 'a\\\\b', which is no plain file name; do not use it"),
        (f"{'0' * 64}  config.json", "lists 'config.json' twice; fetch or export it again"),
        ("nonsense", "line 10: wanted a SHA-256 and a file name; fetch or export it again"),
    ],
)
def test_hostile_checksums(copy, host, line, message):
    with (copy / "SHA256SUMS").open("a") as file:
        file.write(line + "\n")
    assert refused(copy, host).endswith(message)


def test_a_file_that_the_checksums_do_not_list(copy, host):
    lines = (copy / "SHA256SUMS").read_text().splitlines(keepends=True)
    (copy / "SHA256SUMS").write_text("".join(line for line in lines if "tokenizer.json" not in line))
    assert refused(copy, host) == f"{copy}/SHA256SUMS does not list tokenizer.json; fetch or export it again"


@pytest.mark.parametrize(
    "name", ["config.json", "generator.safetensors", "discriminator.safetensors", "tokenizer.json"]
)
def test_a_file_changed_by_one_bit(copy, host, name):
    data = bytearray((copy / name).read_bytes())
    data[-2] ^= 1
    (copy / name).write_bytes(data)
    message = refused(copy, host)
    assert message.startswith(str(copy / name))
    assert name == "config.json" or message.endswith(
        "was changed or damaged: its SHA-256 is not the one in SHA256SUMS; fetch or export it again"
    )


def test_load_is_also_a_name_of_the_package():
    assert ganlm_core.load is load.load


LOAD_ALL = """
import resource, sys
from ganlm_core.bundle.load import load
from ganlm_core.errors import WeightsError

whole, *crafted = sys.argv[1:]
load(whole)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for folder in crafted:
    try:
        load(folder)
    except WeightsError:
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert more < 2**18, f"{folder} took {more} KiB"
    else:
        raise AssertionError(f"{folder} was loaded")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is another one elsewhere")
def test_refusing_a_bundle_takes_little_memory(copy, tmp_path):
    """In a process of its own: a quarter of a GiB for files of absurd sizes, for a thousand million layers and a
    hundred million units, and for JSON that has all the bytes that it may have, which takes most."""
    change_generator(copy, distribution="ganlm")  # that process has the built-in plugins alone
    lists = f'{{"a": [{"[]," * (2**23 // 3 - 5)}[]]}}'
    crafts = [craft for name, table in BY_LOADING.items() if "above" in name or "more" in name for craft, _ in table]
    crafts += [
        lambda folder: change_generator(folder, options={"hidden_size": 10**8, "embedding_size": 4}),
        lambda folder: write(folder, "calibration.json", lists),
    ]
    folders = [Path(shutil.copytree(copy, tmp_path / str(number))) for number in range(len(crafts))]
    for craft, folder in zip(crafts, folders, strict=True):
        craft(folder)
    done = subprocess.run([sys.executable, "-c", LOAD_ALL, copy, *folders], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"path": None}, OptionError, "path is None; wanted a path or an address"),
        ({"path": b"x"}, OptionError, "path is b'x'; wanted a path or an address"),
        ({"path": "a\0b"}, OptionError, r"path is 'a\x00b'; no file can have this name"),
        ({"path": "x" * 5000}, WeightsError, f"cannot read {'x' * 5000}: File name too long"),
        ({"device": None}, OptionError, "device is None; wanted auto, cpu, cuda, cuda:N or mps"),
        ({"host": "x"}, OptionError, "host is 'x'; wanted a Host, such as Host.discover()"),
    ],
)
def test_arguments_of_another_type_or_form_are_refused(saved, host, arguments, kind, message):
    with pytest.raises(kind) as caught:
        load.load(**{"path": saved, "host": host} | arguments)
    assert str(caught.value) == message


def test_a_model_knows_its_place_from_any_working_folder(saved, host, monkeypatch):
    monkeypatch.chdir(saved.parent)
    model = load.load(saved.name, host, torch.device("cpu"))
    assert model.source == str(saved)
