"""Exported generators and tokenizers, read with the programs they are for: torch.export, onnxruntime, transformers."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlm_core.bundle import load, onnx
from ganlm_core.cli import source
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.protocol import EOS, Generator, Shape
from tests.conftest import TINY, Ganlm

SHAPE = Shape(vocabulary=7, length=3, noise=2)
LINES = ["a cat sees the dog", "the dogs  see: a cat!", "naïve 東京 🙂", "<eos> is text"]


def inputs(generator: Generator, rows: int) -> dict[str, torch.Tensor]:
    """Return noise and, for autoregressive generators, ids; the number of rows is not the traced one."""
    rng = torch.Generator().manual_seed(1)
    found = {"noise": torch.randn(rows, generator.shape.noise, generator=rng)}
    if generator.autoregressive:
        found["tokens"] = torch.randint(EOS, generator.shape.vocabulary, (rows, generator.shape.length), generator=rng)
    return found


@pytest.mark.parametrize("name", default_host().specs("generator"))
def test_every_generator_can_be_traced_for_any_number_of_sequences(name: str) -> None:
    host = default_host()
    options = host.spec("generator", name).options
    sizes = {option.name: TINY[option.name] for option in options.fields() if option.name in TINY}
    torch.manual_seed(0)
    generator = host.build("generator", name, options(**sizes), shape=SHAPE).eval()
    given = inputs(generator, 5)
    assert torch.allclose(onnx.trace(generator).module()(**given), generator(**given), atol=1e-5)


def test_a_bundle_becomes_a_program_of_torch(command: Ganlm, saved: Path, host: Host, tmp_path: Path) -> None:
    path = tmp_path / "generator.pt2"
    assert command("weights", "export", saved, "--out", path) == (0, f"{path}\n", "")
    generator = load.load(saved, host).generator
    given = inputs(generator, 3)
    assert torch.allclose(torch.export.load(path).module()(**given), generator(**given), atol=1e-5)
    code, _, err = command("weights", "export", saved, "--out", path)
    assert (code, err) == (
        2,
        f"ganlm: error: {path} already exists; add --force to replace it, or choose another --out\n",
    )
    path.write_text("old")
    assert command("weights", "export", saved, "--out", path, "--force")[0] == 0
    assert torch.allclose(torch.export.load(path).module()(**given), generator(**given), atol=1e-5)


@pytest.mark.parametrize("name", ["generator.pt2", "generator.onnx"])
def test_hashes_have_no_place_beside_a_generator_alone(
    command: Ganlm, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(source, "training_text", lambda *_: pytest.fail("the training text is read"))
    path = tmp_path / name
    assert command("weights", "export", saved, "--out", path, "--share-hashes") == (
        2,
        "",
        f"ganlm: error: --share-hashes has no effect on {path}, a generator alone; leave it out, or export a bundle\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_onnxruntime_gives_the_same_logits(command: Ganlm, saved: Path, host: Host, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: extra 'onnx'")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: extra 'onnx'")
    path = tmp_path / "generator.onnx"
    assert command("weights", "export", saved, "--out", path)[:2] == (0, f"{path}\n")
    assert [file.name for file in tmp_path.iterdir()] == ["generator.onnx"], "no weights beside the file"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    generator = load.load(saved, host).generator
    given = inputs(generator, 3)
    (logits,) = session.run(["logits"], {name: tensor.numpy() for name, tensor in given.items()})
    assert torch.allclose(torch.from_numpy(logits), generator(**given), atol=1e-4)


def test_onnx_needs_its_packages(monkeypatch: pytest.MonkeyPatch, saved: Path, host: Host, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UsageError) as caught:
        onnx.export(load.load(saved, host).generator, tmp_path / "generator.onnx")
    assert str(caught.value) == "ONNX needs the packages onnx and onnxscript; pip install 'ganlm[onnx]'"
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_cannot_be_traced_is_named() -> None:
    class Choosy(Generator):
        def forward(self, noise: torch.Tensor, tokens: Any = None) -> torch.Tensor:
            return self.prior if noise.sum().item() > 0 else -self.prior

    with pytest.raises(GanlmError, match=r"^Choosy cannot be traced: "):
        onnx.trace(Choosy(SHAPE))


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_transformers_reads_the_tokenizer(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: extra 'dev'")
    tokenizer = Tokenizer.train(kind, LINES[:3], 300)
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"),
        pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
    )  # fmt: skip
    assert (theirs.pad_token_id, theirs.bos_token_id, theirs.eos_token_id, theirs.unk_token_id) == (0, 1, 2, 3)
    assert len(theirs) == tokenizer.vocabulary_size
    for line in LINES[:3]:
        ids = theirs(line, add_special_tokens=False)["input_ids"]
        assert tokenizer.encode([line], len(ids) + 1)[0].tolist() == [[*ids, EOS]]
        assert theirs.decode(ids, clean_up_tokenization_spaces=False) == tokenizer.decode(torch.tensor([ids]))[0]
