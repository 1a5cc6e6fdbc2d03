"""The folder of a sweep: its plan and its runs. It lies on a disk that all machines of the sweep share.

sweep.json     every run with the settings by which it differs, the threads of each, the plugin files
configs/       the configuration of each run, which 'ganlm run --config' takes
logs/          standard error of each run, and beside it who trained it last and how that ended
NAME/          the run folders
search.log     the trials of --search optuna, and in search.json what it searches by
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlm_core.bundle.manifest import is_run
from ganlm_core.config.run_config import RunConfig, difference
from ganlm_core.errors import UsageError, WeightsError
from ganlm_core.plugins.host import Host
from ganlm_core.sweep.job import Job
from ganlm_core.sweep.plan import Plan, PlannedRun
from ganlm_core.sweep.settings import is_file_name
from ganlm_core.system.files import read_json, read_text, write_file, write_json, writing
from ganlm_core.system.folders import refuse_links
from ganlm_core.system.printable import shown
from ganlm_core.training.paths import with_absolute_paths
from ganlm_core.training.run_folder import RunFolder, check_plugins

SWEEP = "sweep.json"
FORMAT, FORMAT_VERSION = "ganlm-sweep", 1

LOCKS = ("search.log.lock",)
"""Start of the names of the links by which Optuna locks the journal of a search."""


@dataclass(frozen=True)
class Entry:
    """One run of a sweep on disk: its name, and the settings by which it differs."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class SweepFolder:
    """A sweep on disk."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> "SweepFolder":
        """Return the sweep at ``path``. Raises UsageError if there is none, and WeightsError if it holds links."""
        if not (path / SWEEP).is_file():
            raise UsageError(f"there is no sweep at {path}; give the folder that 'ganlm sweep' printed")
        refuse_links(path, LOCKS)
        return cls(path)

    def write(self, plan: Plan, host: Host) -> None:
        """Write the plan. Existing runs of another plan stay.

        Raises UsageError, before anything is written, for a run of another configuration or of other threads, because
        its numbers would be reported for the planned run.
        """
        self._refuse_others(plan, host)
        before = {entry.name: entry for entry in self.entries()} if (self.path / SWEEP).exists() else {}
        entries = before | {run.name: Entry(run.name, run.settings) for run in plan.runs}
        with writing(self.path):
            (self.path / "configs").mkdir(parents=True, exist_ok=True)
            (self.path / "logs").mkdir(exist_ok=True)
        for run in plan.runs:
            write_file(self._config(run.name), with_absolute_paths(run.config).to_toml().encode())
        write_json(
            self.path / SWEEP,
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "threads": plan.threads,
                "plugins": [str(Path(file).resolve()) for file in host.files],
                "cluster": plan.cluster,
                "runs": [{"name": entry.name, "settings": dict(entry.settings)} for entry in entries.values()],
            },
        )

    def _refuse_others(self, plan: Plan, host: Host) -> None:
        if (self.path / SWEEP).exists():
            refuse_links(self.path, LOCKS)
            if (threads := self._read()["threads"]) != plan.threads:
                raise UsageError(
                    f"the runs in {self.path} have {threads} threads each, on which their bytes depend, and the plan "
                    f"has {plan.threads}; give --threads {threads}, or another folder"
                )
        for run in plan.runs:
            folder = self.path / run.name
            if is_run(folder):
                old, new = (
                    with_absolute_paths(each) for each in (RunFolder.open(folder).load_config(host), run.config)
                )
                if changes := difference(old, new):
                    raise UsageError(
                        f"the run in {folder} has another configuration ({', '.join(changes)}); "
                        "choose another folder, or give the options that it was started with"
                    )

    def _read(self) -> dict[str, Any]:
        path = self.path / SWEEP
        found = read_json(path)
        if found.get("format") != FORMAT or found.get("format_version") != FORMAT_VERSION:
            raise WeightsError(f"{path} is not a sweep of this version of ganlm; use the version that wrote it")
        found.setdefault("plugins", [])
        if not isinstance(found.get("threads"), int) or not _are_texts(found["plugins"]):
            raise self._damaged("its threads or plugins are wrong")
        return found

    def _damaged(self, reason: str) -> WeightsError:
        return WeightsError(f"{self.path / SWEEP} is damaged ({reason}); start the sweep again")

    def entries(self) -> list[Entry]:
        """Return the runs of the sweep in the order of its plan.

        Raises WeightsError for a damaged sweep.json, also for a name that leads out of the folder.
        """
        try:
            entries = [Entry(str(each["name"]), dict(each["settings"])) for each in self._read()["runs"]]
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(repr(error)) from None
        for entry in entries:
            if not is_file_name(entry.name):
                raise self._damaged(f"{shown(entry.name)} is no name of a run")
        return entries

    def plan(self, host: Host) -> Plan:
        """Return the plan that :meth:`write` kept.

        Raises UsageError, WeightsError, and PluginError if ``host`` lacks plugin files that the sweep was started with.
        """
        found = self._read()
        check_plugins(self.path, found["plugins"], host)
        runs = [
            PlannedRun(entry.name, entry.settings, RunConfig.from_toml(host, self.config(entry.name)))
            for entry in self.entries()
        ]
        return Plan(runs, found["threads"], found.get("cluster", {}))

    def jobs(self, names: Sequence[str] | None = None) -> list[Job]:
        """Return the jobs of all runs, or of the runs of these names in their order."""
        found, place = self._read(), self.path.resolve()
        jobs = {
            entry.name: Job(
                entry.name,
                place / entry.name,
                place / "configs" / f"{entry.name}.toml",
                place / "logs" / f"{entry.name}.txt",
                found["threads"],
                tuple(found["plugins"]),
            )
            for entry in self.entries()
        }
        return [jobs[name] for name in (jobs if names is None else names)]

    def config(self, name: str) -> str:
        """Return the text of the configuration of a run. Raises WeightsError."""
        return read_text(self._config(name))

    def _config(self, name: str) -> Path:
        return self.path / "configs" / f"{name}.toml"


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
