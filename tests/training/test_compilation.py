"""``--compile``: the same run, its networks through torch.compile, and on CUDA its phases.

Phases are traced here on the CPU as on CUDA, and what runs the graphs is a stand-in.
"""

import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.backends.debugging import aot_eager
from torch._functorch.aot_autograd import make_boxed_func

from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import TrainingError
from ganlm_core.plugins.host import default_host
from ganlm_core.sampling import drawing, sentences
from ganlm_core.system.devices import cuda_graph
from ganlm_core.training import setup
from ganlm_core.training.compilation import as_graphs, compile_networks
from ganlm_core.training.loop import Metrics
from ganlm_core.training.setup import prepare
from ganlm_core.training.train import execute
from tests.conftest import Ganlm, files_of, tiny_config, tiny_recipe
from tests.tiny import SHAPE, TinyGenerator

Backend = Callable[[torch.fx.GraphModule, Any], Callable[..., Any]]

SETTINGS = {"steps": 3, "algorithm_options": {"warmup": 0.34, "discriminator_warmup": 0.34}, "ema": 0.5}


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that torch cached for another instruction set may be wrong here."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))


@pytest.fixture
def compile_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Backend], None]]:
    """Puts a function in the place of torch's compiler, which takes a minute. The function may return the graph."""
    real = torch.compile
    monkeypatch.setattr(setup, "require_compiler", lambda: None)
    yield lambda backend: monkeypatch.setattr(
        torch, "compile", lambda function, mode=None: real(function, backend=backend)
    )
    torch.compiler.reset()


@pytest.fixture
def as_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw as on a device that computes by itself: on the CPU, the number of threads decides, and ends a graph."""
    for module in (sentences, drawing):
        monkeypatch.setattr(module, "asynchronous", lambda device: True)


def test_a_compiled_run_leaves_what_another_does(tmp_path: Path, compile_with: Callable[[Backend], None]) -> None:
    """All files to the last bit: names, weights, samples, tensors. The others keep the configuration."""
    graphs: list[torch.fx.GraphModule] = []
    compile_with(lambda graph, inputs: graphs.append(graph) or graph.forward)  # type: ignore[func-returns-value]
    folders = [
        execute(tiny_config("lstm", "conv", compile=compiled, **SETTINGS), out=tmp_path / name).path
        for name, compiled in (("one", True), ("other", False))
    ]
    one, other = map(files_of, folders)
    assert one.keys() == other.keys()
    differing = {Path(name).name for name in one if one[name] != other[name]}
    assert differing == {"config.toml", "recipe.toml", "state.json", "SHA256SUMS"}
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


def test_networks_that_cannot_be_compiled_are_named(tmp_path: Path, compile_with: Callable[[Backend], None]) -> None:
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
    monkeypatch.setattr(setup, "require_compiler", lambda: None)
    built = prepare(tiny_config("conv", "mlp", penalty=penalty, compile=True))
    assert [note for note in built.notes if "compile" in note] == left_out
    assert compiled == [*built.trainer.algorithm.networks.values()][: 2 - len(left_out)]


def overwriting(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
    """Runs a graph as CUDA graphs are run: into memory of its own, over what it gave before."""
    memory: list[Any] = []

    def run(*arguments: Any) -> Any:
        results = graph(*arguments)
        memory[:] = memory or [result.clone() if isinstance(result, Tensor) else result for result in results]
        for place, result in zip(memory, results, strict=True):
            if isinstance(result, Tensor):
                place.copy_(result)
        return list(memory)

    return make_boxed_func(run)


def test_the_result_of_a_graph_survives_its_next_run(compile_with: Callable[[Backend], None]) -> None:
    """The state of a generator may have numbers in it, which stay as they are."""
    compile_with(aot_autograd(fw_compiler=overwriting))
    step = cuda_graph(lambda words, state: (words + 1, (state[0], [state[1] * 2])))
    first, second = (step(torch.tensor([float(k)]), (7, torch.tensor([10.0 * k]))) for k in (1, 2))
    assert first == (torch.tensor([2.0]), (7, [torch.tensor([20.0])]))
    assert second == (torch.tensor([3.0]), (7, [torch.tensor([40.0])]))


Seen = list[dict[str, float]]


def trained(config: RunConfig, *, graphs: bool = False, after_step: Callable[[], None] = lambda: None) -> Seen:
    """All metrics of a run, looked at after its end. ``graphs``: its phases are prepared as on CUDA."""
    built = prepare(config)
    if graphs:
        parts = getattr(built.trainer.algorithm, "parts", SimpleNamespace(penalty=SimpleNamespace(interval=0)))
        compiled = as_graphs(compile_networks(built.trainer.algorithm, parts))
        built = replace(built, trainer=replace(built.trainer, compiled=compiled))
    kept: list[dict[str, Tensor]] = []

    def keep(step: int, metrics: Metrics) -> None:
        kept.append(metrics)
        after_step()

    built.trainer.train(0, keep)
    return [{name: value.item() for name, value in metrics.items()} for metrics in kept]


def same(ones: Seen, others: Seen) -> bool:
    """To float tolerance: a traced cosine is computed otherwise."""
    return [each.keys() for each in ones] == [each.keys() for each in others] and all(
        list(one.values()) == pytest.approx(list(other.values()), rel=1e-3, abs=1e-5)
        for one, other in zip(ones, others, strict=True)
    )


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize(("recipe", "generator", "phases"), [("one-shot", "mlp", 2), ("mle", "transformer", 1)])
def test_a_phase_that_can_be_traced_is_one_graph(
    compile_with: Callable[[Backend], None], recipe: str, generator: str, phases: int
) -> None:
    """Forward and backward. Later runs of the graph do not change their results."""
    traced: list[torch.fx.GraphModule] = []

    def forward(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        traced.append(graph)
        return overwriting(graph, inputs)

    compile_with(aot_autograd(fw_compiler=forward, bw_compiler=overwriting))
    config = tiny_config(generator, "mlp", recipe=recipe, steps=4, tokenizer_options={"max_length": 5})
    assert same(trained(config, graphs=True), trained(config))
    assert len(traced) == phases


@torch._dynamo.config.patch(fail_on_recompile_limit_hit=True)
@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize("recipe", ["gsgan", "seqgan"])
def test_no_phase_is_traced_at_every_step(compile_with: Callable[[Backend], None], recipe: str) -> None:
    """With a temperature that is annealed, and with rollouts. A graph is recorded for each whole number it is given."""
    recorded: set[tuple[int, tuple[int, ...]]] = set()
    counts: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        run, number = aot_eager(graph, inputs), len(counts)
        counts.append(0)

        def called(*arguments: Any) -> Any:
            recorded.add((number, tuple(each for each in arguments if isinstance(each, int))))
            return run(*arguments)

        return called

    compile_with(backend)
    config = tiny_recipe(recipe, "cpu", steps=9)
    sizes: list[int] = []
    assert same(trained(config, graphs=True, after_step=lambda: sizes.append(len(recorded))), trained(config))
    assert sizes[0] > 0
    assert sizes[-2:] == [len(recorded)] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: that graphs give the same is not seen")
@pytest.mark.parametrize("recipe", default_host().recipes())
def test_a_run_of_cuda_graphs_is_the_same(recipe: str) -> None:
    with torch._inductor.config.patch(fallback_random=True):  # the random numbers of a run without
        one, other = (trained(tiny_recipe(recipe, "cuda", steps=12, compile=how)) for how in (True, False))
    assert same(one, other)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here: that torch can compile the networks is not seen")
def test_torch_compiles_the_networks() -> None:
    settings: dict[str, Any] = {"steps": 2, "recipe": "mle", "generator_options": {"dropout": 0.0}}
    one, other = (trained(tiny_config("lstm", "conv", compile=compiled, **settings)) for compiled in (True, False))
    assert [each["mle_loss"] for each in one] == pytest.approx([each["mle_loss"] for each in other], rel=1e-4)
