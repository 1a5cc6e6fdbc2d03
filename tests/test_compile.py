"""``--compile``: the same run, its networks through torch.compile."""

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganlm_core import experiment
from ganlm_core.errors import TrainingError
from ganlm_core.execution import execute
from ganlm_core.experiment import prepare
from tests.conftest import Ganlm, files_of, tiny_config
from tests.tiny import SHAPE, TinyGenerator

Backend = Callable[[torch.fx.GraphModule, Any], Callable[..., Any]]

SETTINGS = {"steps": 3, "algorithm_options": {"warmup": 0.34, "discriminator_warmup": 0.34}, "ema": 0.5}


@pytest.fixture
def compile_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Backend], None]]:
    """Puts a function in the place of torch's compiler, which takes a minute: what it is given, it may run as it is."""
    real = torch.compile
    monkeypatch.setattr(experiment, "require_compiler", lambda: None)
    yield lambda backend: monkeypatch.setattr(torch, "compile", lambda function: real(function, backend=backend))
    torch.compiler.reset()


def test_a_compiled_run_leaves_what_another_does(tmp_path: Path, compile_with: Callable[[Backend], None]) -> None:
    """All files to the last bit, but for those that say whether it was: names, weights, samples, states."""
    graphs: list[torch.fx.GraphModule] = []
    compile_with(lambda graph, inputs: graphs.append(graph) or graph.forward)  # type: ignore[func-returns-value]
    folders = [
        execute(tiny_config("lstm", "conv", compile=compiled, **SETTINGS), out=tmp_path / name).path
        for name, compiled in (("one", True), ("other", False))
    ]
    one, other = map(files_of, folders)
    assert one.keys() == other.keys()
    differing = {Path(name).name for name in one if one[name] != other[name]}
    assert differing == {"config.toml", "recipe.toml", "SHA256SUMS"}
    assert one["config.toml"].replace(b"compile = true", b"compile = false") == other["config.toml"]
    texts = "\n".join(graph.code for graph in graphs)
    assert "convolution" in texts or "conv1d" in texts  # the discriminator
    assert "embedding" in texts and "linear" in texts  # the generator


def test_the_step_is_compiled_too_and_a_copy_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda function: asked.append(function) or function)
    generator, plain = TinyGenerator(), TinyGenerator()
    names = generator.state_dict().keys()
    generator.compile()
    assert [function.__name__ for function in asked] == ["_call_impl", "step"]
    twin = copy.deepcopy(generator)
    twin.load_state_dict(plain.state_dict())
    assert generator.state_dict().keys() == names
    words, noise = torch.tensor([3]), torch.randn(1, SHAPE.noise)
    logits, expected = (each.step(words, each.start(noise))[0] for each in (twin, plain))
    assert logits.equal(expected)
    assert "step" in vars(generator) and "step" not in vars(twin)


def test_a_machine_without_a_compiler(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    code, out, err = ganlm("run", "--device", "cpu", "--compile", "--out", "run")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == (
        "ganlm: error: --compile needs a C++ compiler, and this machine has no 'no-such-compiler'; "
        "install it or set CXX"
    )
    assert not Path("run").exists()


def test_what_cannot_be_compiled_is_named(tmp_path: Path, compile_with: Callable[[Backend], None]) -> None:
    def fail(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        raise NotImplementedError("no kernel for this")

    compile_with(fail)
    with pytest.raises(TrainingError) as caught:
        execute(tiny_config("lstm", "mlp", recipe="mle", compile=True), out=tmp_path / "run")
    message = str(caught.value)
    assert message.startswith("after step 0, generator 'lstm' of ganlm ")
    assert "no kernel for this" in message
    assert "; leave --compile off, or --debug shows where; the checkpoint of step 0 is kept in " in message


@pytest.mark.parametrize(
    ("penalty", "left_out"),
    [
        ("none", []),
        ("r1", ["the discriminator is not compiled: its penalty differentiates it twice, and torch.compile once"]),
    ],
)
def test_a_discriminator_that_is_differentiated_twice_is_left_out(
    monkeypatch: pytest.MonkeyPatch, penalty: str, left_out: list[str]
) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(module))
    monkeypatch.setattr(experiment, "require_compiler", lambda: None)
    built = prepare(tiny_config("conv", "mlp", penalty=penalty, compile=True))
    assert [note for note in built.notes if "compile" in note] == left_out
    assert compiled == [*built.algorithm.networks.values()][: 2 - len(left_out)]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here: that torch can compile the networks is not seen")
def test_torch_compiles_the_networks(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 2, "recipe": "mle", "generator_options": {"dropout": 0.0}}
    one, other = (
        execute(tiny_config("lstm", "conv", compile=compiled, **settings), out=tmp_path / str(compiled)).step_records()
        for compiled in (True, False)
    )
    assert [each["mle_loss"] for each in one] == pytest.approx([each["mle_loss"] for each in other], rel=1e-4)
