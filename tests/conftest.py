"""Fixtures of the end-to-end tests: tiny runs, and the command line in an empty folder."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Before anything imports torch: tiny networks are slower on several threads, and the processes that a test starts
# must add in the order in which this one does.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

from ganlm_core.bundle.save import save
from ganlm_core.cli import main
from ganlm_core.cli.context import Invocation
from ganlm_core.components import Options
from ganlm_core.config.make_config import make_config
from ganlm_core.config.run_config import RunConfig, resolve
from ganlm_core.evaluation import figures
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.training import checkpoint
from ganlm_core.training.run_folder import RunFolder
from tests.bundles import bundle_parts, install_distribution
from tests.environments import ROOT, build

Ganlm = Callable[..., tuple[int, str, str]]

DRAW = figures.svg

CORE = {room: f"ganlm_core.{room}.specs" for room in ("algorithms", "data", "metrics", "rewards")}
"""The entry points of the components that come with the core."""

TINY = {
    "hidden_size": 8,
    "embedding_size": 8,
    "position_size": 8,
    "filters": 4,
    "heads": 2,
    "head_size": 4,
    "embeddings": 2,
    "feature_embedding_size": 8,
    "goal_size": 4,
}
"""Sizes for every architecture that has an option of the name."""

SETTINGS: dict[str, Any] = {
    "steps": 6,
    "batch_size": 8,
    "noise_size": 4,
    "device": "cpu",
    "log_every": 1,
    "evaluate_every": 100,
    "checkpoint_every": 4,
    "evaluation_samples": 20,
    "corpus_options": {"size": 300},
}
WARM = {"warmup": 1 / 3, "discriminator_warmup": 1 / 6}
"""Two steps of maximum likelihood, one of the discriminator, and the rest of SETTINGS' steps against each other."""


@pytest.fixture(scope="session", autouse=True)
def _nothing_from_the_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.startswith("GANLM_")]:
            patch.delenv(variable)
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_not_ignored() -> Iterator[None]:
    """A shell that runs the tests in the background has them, and what they start, ignore SIGINT."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture
def ganlm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ganlm:
    """Call the command line in an empty folder; give code, stdout and stderr.

    The figures of reports are blank, because they take most of the time of a tiny run; ``drawn_figures`` draws them.
    """
    monkeypatch.setattr(figures, "svg", lambda figure: "<svg/>")
    monkeypatch.chdir(tmp_path)
    default_host.cache_clear()

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def drawn_figures(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "svg", DRAW)


def tiny_config(generator: str, discriminator: str, **settings: Any) -> RunConfig:
    """A run of a second, whatever the defaults and recipes say; ``settings`` are those of ``make_config``."""
    host = default_host()
    sizes = {
        f"{kind}_options": _tiny(host.spec(kind, name).options) | settings.pop(f"{kind}_options", {})
        for kind, name in (("generator", generator), ("discriminator", discriminator))
    }
    return make_config(generator, discriminator, **SETTINGS | sizes | settings)


ONE_EACH = {"warmup": 0.34, "discriminator_warmup": 0.34, "discriminator_steps": 1, "mediator_steps": 1}
"""Three steps: one of maximum likelihood, one of the discriminator and one of both, if a recipe has all of them."""


def tiny_recipe(recipe: str, device: str, **settings: Any) -> RunConfig:
    """Three steps of a recipe with its own networks, on short sentences."""
    own = resolve(default_host(), [{"recipe": recipe}])
    once = {key: ONE_EACH[key] for key, value in own.algorithm.options.as_dict().items() if key in ONE_EACH and value}
    short: dict[str, Any] = {"tokenizer_options": {"max_length": 5}, "steps": 3, "algorithm_options": once}
    if own.estimator.name == "next-word":
        short["noise_size"] = 0  # it needs an exact likelihood
    return tiny_config(own.generator.name, own.discriminator.name, recipe=recipe, device=device, **short | settings)


def _tiny(options: type[Options]) -> dict[str, int]:
    return {option.name: TINY[option.name] for option in options.fields() if option.name in TINY}


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path, but for run.json and the report, which tell when and where the run was."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    own = ("run.json", "report.html")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name not in own}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    """Two hosts: the core and ``conv`` as the distribution ganlm, and these with ``lstm`` as another distribution."""
    site, more = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("more")
    install_distribution(site, "ganlm", CORE | {"conv": "ganlm_conv"})
    install_distribution(more, "ganlm-lstm", {"lstm": "ganlm_lstm"})
    with pytest.MonkeyPatch.context() as patch:
        for folder in (ROOT / "plugins" / "ganlm-lstm", ROOT / "plugins" / "ganlm-conv", site):
            patch.syspath_prepend(folder)
        without = Host.discover()
        patch.syspath_prepend(more)
        yield without, Host.discover()


@pytest.fixture(scope="module")
def host_without_lstm(hosts: tuple[Host, Host]) -> Host:
    return hosts[0]


@pytest.fixture(scope="module")
def host(hosts: tuple[Host, Host]) -> Host:
    return hosts[1]


@pytest.fixture(scope="module")
def parts(host: Host) -> dict[str, Any]:
    """The arguments of :func:`ganlm_core.bundle.save.save` for a tiny bundle."""
    return bundle_parts(host)


@pytest.fixture(scope="module")
def saved(parts: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("bundles") / "saved", **parts)


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "copy")


@pytest.fixture
def unfinished(parts: dict[str, Any], tmp_path: Path) -> RunFolder:
    """A run that was stopped at step 7: it has a checkpoint and no bundle."""
    run = RunFolder(tmp_path / "run")
    run.checkpoints.mkdir(parents=True)
    (run.path / "config.toml").write_text(parts["config"].to_toml())
    run.write_tokenizer(parts["tokenizer"].to_json())
    descent = {network: [asdict(each) for each in line] for network, line in parts["descent"].items()}
    run.write_info(status="interrupted", shape=parts["shape"].sizes(), corpus=parts["corpus"], descent=descent)
    networks = parts["networks"]
    modules = {"algorithm": torch.nn.ModuleDict(networks)}
    checkpoint.save(run.checkpoints, 7, modules=modules, networks=networks, optimizers={})
    return run


@pytest.fixture
def command(host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ganlm:
    """The command line with the plugins of ``host``: (exit code, standard output, standard error)."""
    monkeypatch.setattr(Invocation, "host", host)

    def call(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


class FakeMPS:
    """Stands for torch's random generator on Apple's MPS, which is on no machine that tests run on."""

    def __init__(self) -> None:
        self.state = torch.tensor([1, 2, 3], dtype=torch.uint8)
        self.seeds: list[int] = []

    def get_rng_state(self) -> torch.Tensor:
        return self.state

    def set_rng_state(self, state: torch.Tensor) -> None:
        self.state = state

    def manual_seed(self, seed: int) -> None:
        self.seeds.append(seed)
        self.state = torch.zeros(3, dtype=torch.uint8)


@pytest.fixture
def fake_mps(monkeypatch: pytest.MonkeyPatch) -> FakeMPS:
    fake = FakeMPS()
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for name in ("get_rng_state", "set_rng_state", "manual_seed"):
        monkeypatch.setattr(torch.mps, name, getattr(fake, name))
    return fake


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout."""
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))
