"""The run folder: everything that a training writes, and everything that it needs to resume. Nothing imports torch.

config.toml      fully resolved; runs again as it is
run.json         versions, plugins, device, seed, command, shape, status, the kinds of parts that the method ignores,
                 the bundles that the networks were trained from, the notes on the run before it started
data.txt         the sentences, if they came through standard input or a pipe
tokenizer.json   the tokenizer, trained on the training split
metrics.jsonl    one JSON object a line, each with its step; no times, so that two runs of one seed write the same bytes
samples/         step-00001000.txt and final.txt, a sentence a line
checkpoints/     see ganlm_core.training.checkpoint
before/          a bundle of the generator before adversarial training, if it was trained before
bundle/          see ganlm_core.bundle.load
evaluation.json  written by ``ganlm eval``, see ganlm_core.evaluation.scores
report.html      see ganlm_core.evaluation.report

Paths of data in config.toml are absolute; data that the run itself keeps have a path relative to the folder. A run
therefore resumes from any working directory, and also after it was moved.
"""

import itertools
import os
import platform
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlm_core.bundle.manifest import BUNDLE, RUN_CONFIG, Descent, descent_of, is_run, read_evaluation
from ganlm_core.components import KINDS
from ganlm_core.config.recipes import method_of
from ganlm_core.config.run_config import RunConfig, parse_toml
from ganlm_core.data.options import FileOptions
from ganlm_core.data.text import lines, one_line
from ganlm_core.errors import PluginError, RunExists, UnknownName, UsageError, WeightsError
from ganlm_core.plugins.host import Host
from ganlm_core.system.files import (
    advising,
    check_name,
    read_json,
    read_text,
    write_file,
    write_json,
    writing,
)
from ganlm_core.system.folders import refuse_links, tidy
from ganlm_core.system.version import __version__
from ganlm_core.training.metrics_log import MEND, MetricsLog
from ganlm_core.training.paths import is_read_once, with_absolute_paths, with_data_at

RUNS = Path("runs")

STARTING = "starting"
"""The status of a run that has no checkpoint yet."""

_AT_THE_START = ("run.json", RUN_CONFIG, "data.txt", "tokenizer.json", "metrics.jsonl", "samples", "checkpoints")
"""Everything that a run writes before its first checkpoint."""

_INFO: Mapping[str, type] = {
    "status": str, "versions": dict, "shape": dict, "corpus": dict, "method": str, "unused": list, "plugin_files": list,
    "descent": dict, "labels": list, "seconds": float, "cpu_seconds": float,
}  # fmt: skip
"""The types of the fields of run.json that are read again."""

_TABLES = ("generator", "discriminator", "training")
"""The tables of config.toml without which nothing can be said about a run."""


@dataclass(frozen=True)
class RunFolder:
    """One run on disk. Every method that writes raises WriteError, with the path, when the disk refuses."""

    path: Path

    @classmethod
    def make(cls, path: Path | None, name: str) -> "RunFolder":
        """Make the folder of a new run; without ``path``, ``runs/{name}-{n}`` with the next free n.

        A folder that exists is taken if :meth:`check_free` finds it free. Raises RunExists for any other.
        """
        if path is None:
            return cls(_make_numbered(name))
        check_name(path)
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        folder = cls(path)
        folder.check_free()
        return folder

    def check_free(self) -> None:
        """Raise RunExists unless a run may start here: the folder is empty, or its run never got a checkpoint."""
        if self._is_free():
            return
        resume = f", or resume it: --resume {self.path}" if is_run(self.path) else ""
        raise RunExists(f"{self.path} already exists and is not empty; choose another --out{resume}")

    def _is_free(self) -> bool:
        names = {path.name for path in self.path.iterdir()} - {f".{self.path.name}.lock"}
        if names <= {".run.json.partial"}:
            return True
        ours = {*_AT_THE_START, *(f".{name}.partial" for name in _AT_THE_START)}
        return names <= ours and self.is_starting

    def _status(self) -> str | None:
        with suppress(WeightsError):
            return self.info().get("status")
        return None

    def start(self, config: RunConfig, sentences: Sequence[str] | None = None) -> None:
        """Write what a run needs before its first step, over what an attempt before it left.

        ``sentences`` are kept in data.txt. run.json is written first, because it tells whose the other files are;
        config.toml last, because with it the run can be resumed.
        """
        self.clear()
        self.write_info(status=STARTING)
        with writing(self.path):
            self.samples.mkdir()
            self.checkpoints.mkdir()
        if sentences is not None:
            write_file(self.data, "".join(f"{text}\n" for text in sentences).encode())
        self.write_config(config)

    def clear(self) -> None:
        """Remove everything that a run writes before its first checkpoint. Raises WriteError."""
        tidy(self.path)
        with writing(self.path):
            for name in reversed(_AT_THE_START):  # run.json last: it tells whose the other files are
                place = self.path / name
                if place.is_dir():
                    shutil.rmtree(place)
                else:
                    place.unlink(missing_ok=True)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return the run at ``path``. Raises UsageError if there is none, and WeightsError if it holds links."""
        if not path.is_dir():
            raise UsageError(f"there is no run at {path}; give the folder that 'ganlm run' printed")
        if not is_run(path):
            if cls(path).info_file.is_file():
                raise UsageError(f"the run at {path} was stopped before it began; start it again with --out {path}")
            raise UsageError(
                f"{path} is not a run folder, it has no config.toml; give the folder that 'ganlm run' printed"
            )
        refuse_links(path)
        return cls(path)

    @property
    def config_file(self) -> Path:
        return self.path / RUN_CONFIG

    @property
    def info_file(self) -> Path:
        return self.path / "run.json"

    @property
    def tokenizer_file(self) -> Path:
        return self.path / "tokenizer.json"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def bundle(self) -> Path:
        return self.path / BUNDLE

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def before(self) -> Path:
        return self.path / "before"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

    def results(self) -> dict[str, Any]:
        """Return evaluation.json of the bundle; empty for a run without a bundle. Raises WeightsError."""
        return read_evaluation(self.bundle) if self.bundle.is_dir() else {}

    @property
    def is_warm_up(self) -> bool:
        """Whether the finished weights are those of the warm-up, because no later evaluation was better."""
        if not self.before.is_dir() or not self.bundle.is_dir():
            return False
        before, after = (read_evaluation(folder).get("weights_step") for folder in (self.before, self.bundle))
        return before is not None and before == after

    def drop_evaluation(self) -> None:
        """Remove the evaluation of weights that are about to be replaced. Raises WriteError."""
        with writing(self.evaluation):
            self.evaluation.unlink(missing_ok=True)

    @property
    def metrics(self) -> MetricsLog:
        return MetricsLog(self.path / "metrics.jsonl")

    @property
    def data(self) -> Path:
        return self.path / "data.txt"

    @property
    def is_starting(self) -> bool:
        """Whether the run was stopped before its first checkpoint, so that it may only begin anew."""
        return self._status() == STARTING and not any(self.checkpoints.glob("step-*"))

    @property
    def is_finished(self) -> bool:
        """Whether the run has written its bundle, and was not resumed since."""
        return self.bundle.is_dir() and self.info().get("status", "finished") == "finished"

    def tidy(self) -> None:
        """Put back what a killed process had set aside, and remove what it left half written. Raises WriteError."""
        for folder in (self.path, self.samples, self.checkpoints):
            tidy(folder)

    def config(self) -> str:
        """Return the text of config.toml. Raises WeightsError when it cannot be read."""
        with advising(MEND):
            return read_text(self.config_file)

    def tables(self) -> dict[str, Any]:
        """Return the tables of config.toml, without a look at whether they fit the plugins that are installed.

        Raises UsageError for text that is not TOML, and WeightsError for a table that was removed.
        """
        tables = parse_toml(self.config(), str(self.config_file))
        for name in _TABLES:
            if not (isinstance(tables.get(name), dict) and tables[name]):
                raise WeightsError(f"{self.config_file} has no table [{name}]; {MEND}")
        return tables

    def load_config(self, host: Host) -> RunConfig:
        """Return the configuration, its data where they are now.

        Raises PluginError for an unknown component, naming the plugin files that the run had and ``host`` lacks.
        """
        try:
            config = RunConfig.from_toml(host, self.config())
        except UnknownName as error:
            if error.what in KINDS:
                check_plugins(self.path, self.info().get("plugin_files", []), host)
            raise
        return with_data_at(config, lambda path: str(self.data.resolve())) if self.data.is_file() else config

    def write_config(self, config: RunConfig) -> None:
        """Write config.toml with the paths of data that it should have, see the top of this module."""
        kept = self.data.name if self.data.is_file() else None
        config = with_absolute_paths(config)
        config = with_data_at(config, lambda path: kept) if kept else config
        write_file(self.config_file, config.to_toml().encode())

    def tokenizer(self) -> str:
        """Return the text of tokenizer.json. Raises WeightsError when it cannot be read."""
        with advising(MEND):
            return read_text(self.tokenizer_file)

    def write_tokenizer(self, text: str) -> None:
        write_file(self.tokenizer_file, text.encode())

    def info(self) -> dict[str, Any]:
        """Return run.json; empty before the first :meth:`write_info`. Raises WeightsError when it is damaged."""
        with advising(MEND):
            found = read_json(self.info_file) if self.info_file.exists() else {}
        for name, wanted in _INFO.items():
            if not isinstance(found.get(name, wanted()), wanted):
                raise WeightsError(f"{self.info_file} has a value under '{name}' that is no {wanted.__name__}; {MEND}")
        return found

    def write_info(self, **fields: Any) -> None:
        """Set ``fields`` of run.json and keep the others.

        ``status``: starting, started, finished, interrupted or failed.
        """
        write_json(self.info_file, self.info() | fields)

    def shape(self) -> dict[str, int]:
        """Return ``vocabulary``, ``length`` and ``noise``, as ``write_info(shape=...)`` kept them.

        Raises WeightsError.
        """
        shape = self.info().get("shape")
        if not isinstance(shape, dict) or {type(size) for size in shape.values()} != {int}:
            raise WeightsError(f"{self.path / 'run.json'} has no shape; {MEND}")
        return shape

    def descent(self) -> Descent:
        """Return the bundles that the networks were trained from. Raises WeightsError for a damaged run.json."""
        with advising(MEND):
            return descent_of(self.info_file, self.info().get("descent", {}))

    def labels(self) -> dict[str, int]:
        """Return the labels of the training data in their order, each with its number of sentences. May be empty.

        Raises WeightsError for a damaged run.json.
        """
        try:
            return {str(name): int(count) for name, count in self.info().get("labels", ())}
        except (TypeError, ValueError):
            raise WeightsError(f"{self.path / 'run.json'} has labels without their numbers; {MEND}") from None

    def unused(self) -> Sequence[str]:
        """Return the kinds of parts that are configured and that the training method ignores."""
        return tuple(self.info().get("unused", ()))

    def title(self) -> str:
        """Name the networks, the method and the bundles it began with: ``lstm by mle``, ``lstm by mle from zoo:x``."""
        config = self.tables()
        generator, discriminator = (next(iter(config[kind])) for kind in ("generator", "discriminator"))
        networks = generator if "discriminator" in self.unused() else f"{generator} against {discriminator}"
        lines = (line for network, line in self.descent().items() if line and network not in self.unused())
        began = " and ".join(dict.fromkeys(line[0].name for line in lines))
        return f"{networks} by {self.info().get('method') or method_of(config)}{f' from {began}' if began else ''}"

    def remove_samples_after(self, step: int) -> None:
        """Remove the sentences of later evaluations, including the final one."""
        with writing(self.samples):
            self._samples_at(None).unlink(missing_ok=True)
            for path in self.samples.glob("step-*.txt"):
                if path.name > self._samples_at(step).name:
                    path.unlink()

    def last_samples(self) -> list[str]:
        """Return the sentences of the final evaluation, else of the latest one; none before the first."""
        final = self._samples_at(None)
        files = [final] if final.exists() else sorted(self.samples.glob("step-*.txt"))
        return lines(read_text(files[-1])) if files else []

    def write_samples(self, step: int | None, sentences: Sequence[str]) -> None:
        """Write the sentences of the evaluation at ``step``; None stands for the final one."""
        write_file(self._samples_at(step), "".join(one_line(sentence) + "\n" for sentence in sentences).encode())

    def samples_by_step(self, most: int) -> dict[int, list[str]]:
        """Return the first ``most`` sentences of each interim evaluation by its step. Raises WeightsError."""
        found = {file: re.fullmatch(r"step-(\d+)\.txt", file.name) for file in sorted(self.samples.glob("step-*.txt"))}
        return {int(step[1]): lines(read_text(file))[:most] for file, step in found.items() if step}

    def _samples_at(self, step: int | None) -> Path:
        return self.samples / ("final.txt" if step is None else f"step-{step:08}.txt")


def check_plugins(place: Path, files: Sequence[str], host: Host) -> None:
    """Raise PluginError with the flags to add if ``host`` lacks plugin files that a run or a sweep was started with.

    They are never loaded by themselves: a folder of another user could name any file.
    """
    loaded = {os.path.realpath(file) for file in host.files}
    if missing := [file for file in files if os.path.realpath(file) not in loaded]:
        flags = shlex.join(word for file in missing for word in ("--plugin", file))
        raise PluginError(f"{place} was started with a plugin that is not loaded; add {flags}")


def run_name(config: RunConfig) -> str:
    """Return the name of a run folder without its number: the networks, and the corpus or the file of the data."""
    return f"{config.generator.name}-{config.discriminator.name}-{_data_name(config)}".replace("/", "-")


def _data_name(config: RunConfig) -> str:
    options = config.corpus.options
    if not isinstance(options, FileOptions):
        return config.corpus.name
    if is_read_once(options.path):
        return "stdin" if options.path == "-" else "pipe"
    plain = "".join(each if each.isalnum() else "-" for each in Path(options.path).name.partition(".")[0])
    return plain.strip("-") or config.corpus.name


def free_path(name: str) -> Path:
    """Return ``runs/{name}-{n}`` with the next free n."""
    numbered = (RUNS / f"{name}-{number}" for number in itertools.count(1))
    return next(path for path in numbered if not path.exists())


def _make_numbered(name: str) -> Path:
    while True:
        path = free_path(name)
        with writing(path):
            try:
                path.mkdir(parents=True)
            except FileExistsError:  # another process was faster
                continue
        return path


def versions() -> dict[str, str]:
    """Return the versions of python, torch and ganlm, without importing torch."""
    import importlib.metadata  # which brings email, zipfile and more into commands that never ask

    return {
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "ganlm": __version__,
    }
