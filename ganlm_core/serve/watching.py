"""Watch: the state of a run folder as JSON, also while another process trains in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any

from ganlm_core.errors import GanlmError
from ganlm_core.evaluation import figures
from ganlm_core.evaluation.figures import Figure
from ganlm_core.evaluation.remarks import problems
from ganlm_core.evaluation.report import SHOWN, evaluation_figures, training_figures
from ganlm_core.plugins.host import Host
from ganlm_core.training.metrics_log import interims_in, steps_in
from ganlm_core.training.run_folder import RunFolder

Stamp = tuple[tuple[int, int, int], ...]
"""Identity, size and time of the files that a state is made of; another stamp means another state."""


def stamp(run: RunFolder) -> Stamp:
    """Return the stamp of a run; an empty stamp if its folder is gone."""
    found = []
    for path in (run.path, run.metrics.path, run.info_file, run.samples):
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


@dataclass
class WatchedRun:
    """A run with its last state, which is made again only if the folder has changed.

    All viewers of a run share the state: it is made by one of them at a time, and then shown for ``seconds`` at least,
    so that their number costs nothing.
    """

    run: RunFolder
    host: Host
    seconds: float = 0.0
    _stamp: Stamp | None = None
    _state: dict[str, Any] | None = None
    _made: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def state(self) -> dict[str, Any]:
        """Return the state of the run; a ``problem`` in words if its folder is gone or damaged."""
        with self._lock:
            if self._state is None or monotonic() >= self._made + self.seconds:
                now = stamp(self.run)
                if now != self._stamp or self._state is None:
                    self._stamp, self._state = now, self._read()
                self._made = monotonic()
            return self._state

    def _read(self) -> dict[str, Any]:
        try:
            return state_of(self.run, self.host)
        except (GanlmError, OSError) as error:
            return {"problem": str(error)}


def state_of(run: RunFolder, host: Host) -> dict[str, Any]:
    """Return title, status, step and steps, warnings, samples by step, and the figures of the report as SVG."""
    config, info, records = run.load_config(host), run.info(), run.metrics.read()
    steps = steps_in(records)
    return {
        "title": f"{run.title()} on {config.corpus.name}",
        "status": info.get("status", "started"),
        "step": steps[-1]["step"] if steps else 0,
        "steps": config.training.steps,
        "warnings": list(problems(records, info)),
        "samples": [{"step": step, "texts": texts} for step, texts in run.samples_by_step(SHOWN).items()],
        "figures": _drawn([*training_figures(steps), *evaluation_figures(interims_in(records), {})]),
    }


def _drawn(found: Sequence[Figure]) -> list[dict[str, str]]:
    return [{"title": each.title, "caption": each.caption, "svg": figures.svg(each)} for each in found]
