"""The run folder: what a training leaves behind, and what it needs to go on. Nothing here imports torch.

config.toml      fully resolved; runs again as it is
run.json         versions, plugins, device, seed, command, shape, status, what the method makes no use of
data.txt         what came through standard input, if that was the data
tokenizer.json   the tokenizer, fitted to the training data
metrics.jsonl    a JSON object a line, with its step; no times, so that two runs of one seed leave the same bytes
samples/         step-00001000.txt and final.txt, a sentence a line
checkpoints/     see ganlm_core.training.checkpoint
before/          a bundle of the generator as it was before adversarial training, if it was trained before
bundle/          see ganlm_core.bundle.load
evaluation.json  what ``ganlm eval`` found, see ganlm_core.evaluation.scores
report.html      see ganlm_core.evaluation.report
"""

import itertools
import json
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlm_core.config.run_config import RunConfig, parse_toml
from ganlm_core.errors import PluginError, RunExists, UnknownName, UsageError, WeightsError
from ganlm_core.plugins.host import Host
from ganlm_core.system.files import (
    read_json,
    read_text,
    reading,
    removed_on_failure,
    to_json,
    write_file,
    write_json,
    writing,
)
from ganlm_core.system.version import __version__

RUNS = Path("runs")


@dataclass(frozen=True)
class RunFolder:
    """One run on disk. Everything it writes raises GanlmError, with the path, when the disk refuses."""

    path: Path

    @classmethod
    def create(cls, path: Path | None, name: str, config: str) -> "RunFolder":
        """A new folder with ``config`` as its config.toml; ``runs/{name}-{n}`` with the next free n without ``path``.

        Raises RunExists when there is something at ``path``.
        """
        folder = cls(_make_numbered(name) if path is None else _make(path))
        with removed_on_failure(folder.path), writing(folder.path):
            folder.write_config(config)
            folder.samples.mkdir()
            folder.checkpoints.mkdir()
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The run that is at ``path``. Raises UsageError when none is."""
        if not path.is_dir():
            raise UsageError(f"there is no run at {path}; give the folder that 'ganlm run' printed")
        if not (path / "config.toml").is_file():
            raise UsageError(
                f"{path} is no run folder, it has no config.toml; give the folder that 'ganlm run' printed"
            )
        return cls(path)

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def before(self) -> Path:
        return self.path / "before"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def data(self) -> Path:
        return self.path / "data.txt"

    def config(self) -> str:
        """The text of config.toml. Raises WeightsError when it cannot be read."""
        return read_text(self.path / "config.toml")

    def load_config(self, host: Host) -> RunConfig:
        """What config.toml says. Raises PluginError naming the plugin files that the run had and ``host`` lacks."""
        try:
            return RunConfig.from_toml(host, self.config())
        except (PluginError, UnknownName):
            missing = [file for file in self.info().get("plugin_files", []) if file not in host.files]
            if not missing:
                raise
            flags = shlex.join(word for file in missing for word in ("--plugin", file))
            raise PluginError(f"{self.path} was started with a plugin that is not loaded; add {flags}") from None

    def write_config(self, text: str) -> None:
        write_file(self.path / "config.toml", text.encode())

    def tokenizer(self) -> str:
        """The text of tokenizer.json. Raises WeightsError when it cannot be read."""
        return read_text(self.path / "tokenizer.json")

    def write_tokenizer(self, text: str) -> None:
        write_file(self.path / "tokenizer.json", text.encode())

    def info(self) -> dict[str, Any]:
        """What run.json holds; nothing before the first :meth:`write_info`. Raises WeightsError when it is damaged."""
        path = self.path / "run.json"
        return read_json(path) if path.exists() else {}

    def write_info(self, **fields: Any) -> None:
        """Set ``fields`` of run.json and keep the others. ``status``: started, finished, interrupted or failed."""
        write_json(self.path / "run.json", self.info() | fields)

    def shape(self) -> dict[str, int]:
        """``vocabulary``, ``length`` and ``noise``, as ``write_info(shape=...)`` kept them. Raises WeightsError."""
        shape = self.info().get("shape")
        if not isinstance(shape, dict) or {type(size) for size in shape.values()} != {int}:
            raise WeightsError(f"{self.path / 'run.json'} has no shape; start the run anew")
        return shape

    def unused(self) -> Sequence[str]:
        """The kinds of parts that are configured and of which the training method makes no use."""
        return tuple(self.info().get("unused", ()))

    def title(self) -> str:
        """What trains: ``lstm against conv``, or ``lstm`` where the method makes no use of the discriminator."""
        config = parse_toml(self.config(), str(self.path / "config.toml"))
        generator, discriminator = (next(iter(config[kind])) for kind in ("generator", "discriminator"))
        return generator if "discriminator" in self.unused() else f"{generator} against {discriminator}"

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl; ``record`` has a ``step``. Write it before the checkpoint of that step."""
        with writing(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(to_json(record) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records so far. A last line that a kill cut short is left out. Raises WeightsError for other damage."""
        with reading(self.metrics):
            lines = self.metrics.read_bytes().split(b"\n") if self.metrics.exists() else []
        try:
            return [json.loads(line) for line in lines[:-1]]
        except ValueError as error:
            raise WeightsError(f"{self.metrics} is damaged ({error}); remove that line or start the run anew") from None

    def step_records(self) -> list[dict[str, Any]]:
        """The records of logged steps alone: neither of evaluations nor of rollbacks."""
        return [record for record in self.read_metrics() if not {"evaluation", "rollback"} & record.keys()]

    def glance_records(self) -> list[dict[str, Any]]:
        """The records of the evaluations in the course of training, without the final one, which has other weights."""
        return [record for record in self.read_metrics() if "evaluation" in record and "weights_step" not in record]

    def truncate_metrics(self, records: int) -> None:
        """Keep the first ``records`` records: a run that resumes from an older checkpoint writes the others again."""
        kept = self.read_metrics()[:records]
        write_file(self.metrics, "".join(to_json(record) + "\n" for record in kept).encode())

    def remove_samples_after(self, step: int) -> None:
        """Remove the sentences of later evaluations, the final one among them."""
        with writing(self.samples):
            self._samples_at(None).unlink(missing_ok=True)
            for path in self.samples.glob("step-*.txt"):
                if path.name > self._samples_at(step).name:
                    path.unlink()

    def last_samples(self) -> list[str]:
        """The sentences of the final evaluation, else of the latest one; none before the first."""
        final = self._samples_at(None)
        files = [final] if final.exists() else sorted(self.samples.glob("step-*.txt"))
        return read_text(files[-1]).splitlines() if files else []

    def write_samples(self, step: int | None, lines: Sequence[str]) -> None:
        """The sentences of the evaluation at ``step``, or of the final one."""
        write_file(self._samples_at(step), "".join(line + "\n" for line in lines).encode())

    def _samples_at(self, step: int | None) -> Path:
        return self.samples / ("final.txt" if step is None else f"step-{step:08}.txt")


def _make(path: Path) -> Path:
    with writing(path):
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            go_on = f", or go on with it: --resume {path}" if (path / "config.toml").is_file() else ""
            raise RunExists(f"{path} already exists; choose another --out{go_on}") from None
    return path


def free_path(name: str) -> Path:
    """``runs/{name}-{n}`` with the next free n."""
    numbered = (RUNS / f"{name.replace('/', '-')}-{number}" for number in itertools.count(1))
    return next(path for path in numbered if not path.exists())


def _make_numbered(name: str) -> Path:
    while True:
        try:
            return _make(free_path(name))
        except RunExists:
            continue


def versions() -> dict[str, str]:
    """The versions of python, torch and ganlm, without importing torch."""
    import importlib.metadata  # which brings email, zipfile and more into commands that never ask

    return {
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "ganlm": __version__,
    }
