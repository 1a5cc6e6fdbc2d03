"""The course of a run: what happens around the loop of :mod:`ganlm_core.training.loop`.

Metrics, glances, checkpoints, signals, what is decided by all that, the final evaluation and the bundle.
"""

import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from ganlm_core.bundle.save import save
from ganlm_core.config.options import TrainingOptions
from ganlm_core.errors import DataError, GanlmError, Interrupted, NonFinite, ProcessLost, TrainingError, UsageError
from ganlm_core.metrics.judge import Values, round_values
from ganlm_core.protocol import Generator
from ganlm_core.system import processes
from ganlm_core.system.signals import caught_signals, interrupting_signals
from ganlm_core.training import checkpoint, monitor
from ganlm_core.training.display import Display
from ganlm_core.training.export import shared_config
from ganlm_core.training.loop import Metrics
from ganlm_core.training.parallel import Mark, lead, written
from ganlm_core.training.run_folder import RunFolder, versions
from ganlm_core.training.setup import Setup

ROLLBACKS = 3
"""Times that a run goes back after a collapse, each with half the learning rates of the time before."""


def _clocks() -> dict[str, float]:
    """What run.json says of a run's time: that on the wall, and that of all cores together."""
    return {"seconds": time.monotonic(), "cpu_seconds": time.process_time()}


class _Stopped(Exception):
    """Raised after a step, to leave the loop before its end."""


class _Collapsed(Exception):
    """Raised after a step, to leave the loop and go back; says what was seen."""


@dataclass
class _Progress:
    """How far a run is, beside its step and its tensors; a checkpoint keeps it.

    ``evaluations``: columns of the final table. ``history``: what every glance found. ``records``: lines of
    metrics.jsonl. ``good``: the step to go back to after a collapse. ``stopped``: why training ended before its last
    step, if it did.
    """

    evaluations: dict[str, Values] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    records: int = 0
    good: int = 0
    rollbacks: int = 0
    stopped: str = ""


@dataclass
class Run:
    """One training in its folder: what happens around the loop."""

    setup: Setup
    folder: RunFolder
    display: Display
    progress: _Progress = field(default_factory=_Progress)
    step: int = 0
    finishing: bool = False
    mark: Mark | None = None
    signals: list[int] = field(default_factory=list)

    @cached_property
    def options(self) -> TrainingOptions:
        return self.setup.config.training

    @cached_property
    def real(self) -> Values:
        """How varied real text is: what samples are compared with."""
        return monitor.real_variety(self.setup)

    def begin(self) -> None:
        setup = self.setup
        self.folder.write_info(
            status="started",
            command=sys.argv,
            device=str(setup.device),
            seed=setup.config.training.seed,
            versions=versions(),
            shape=asdict(setup.shape),
            plugins={
                kind: setup.host.origin(kind, getattr(setup.config, kind).name)
                for kind in ("generator", "discriminator", "algorithm")
            },
            plugin_files=setup.host.files,
            unused=setup.trainer.algorithm.unused,
        )
        try:
            self._milestone(0)
        except GanlmError:
            raise
        except Exception as error:
            raise TrainingError(self._blame(error)) from error
        self._save(0)

    def restore(self) -> None:
        note = self._load()
        if note:
            self.display.note(note)
        self.folder.write_info(status="started")

    def _load(self, step: int | None = None) -> str:
        """Go back to the checkpoint of ``step``, or of the newest; gives its note. Raises WeightsError, DataError."""
        optimizers = {name: each.optimizer for name, each in self.setup.trainer.optimizers.items()}
        found = checkpoint.load(self.folder.checkpoints, modules=self.setup.modules, optimizers=optimizers, step=step)
        extra = found.extra
        if extra["data"] != self.setup.fingerprint:
            raise DataError(
                f"the training data of {self.folder.path} are not what they were when it was started; "
                "put the old data back, or start a new run"
            )
        self.step = found.step
        self.setup.trainer.batches.drawn, self.setup.trainer.batches.tokens_drawn = extra["batches"]
        self.progress = _Progress(**extra["progress"])
        self.folder.truncate_metrics(self.progress.records)
        self.folder.remove_samples_after(self.step)
        return found.note

    def train(self) -> None:
        setup = self.setup
        self.display.started(setup, self.folder, self.step)
        self._notify("ganlm_run_started", folder=self.folder.path, config=setup.config.to_dict())
        status, began, earlier = "failed", _clocks(), self.folder.info()
        try:
            with caught_signals(self.display.stopping) as self.signals:
                self._train()
            self.finishing = True
            with interrupting_signals():
                if self.signals:  # one that came while the last checkpoint was written
                    raise KeyboardInterrupt
                self._finish()
            status = "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise Interrupted(f"interrupted {self._when()}; {self._checkpoint_kept()}, {self._go_on()}") from None
        except UsageError:
            raise
        except Exception as error:
            raise self._explained(error) from error
        finally:
            with suppress(GanlmError):  # a disk that refuses this too has a better error on its way
                spent = {name: round(earlier.get(name, 0) + now - began[name], 1) for name, now in _clocks().items()}
                self.folder.write_info(status=status, **spent)
            self.display.ended(self.folder, status)
            self._notify("ganlm_run_ended", status=status)

    def _train(self) -> None:
        """The loop, to its last step or to where something stops it; from an earlier step again after a collapse."""
        while self.step < self.options.steps and not self.progress.stopped:
            try:
                after_step = lead(self.setup, self.step, self._pace, self.after_step)
                self.setup.trainer.slowed(self._pace).train(self.step, after_step)
            except _Stopped:
                self.display.note(f"stopped after step {self.step}: {self.progress.stopped}")
            except _Collapsed as collapse:
                self._roll_back(str(collapse))
            except NonFinite as error:
                if self.options.on_collapse != "rollback":
                    raise
                self.display.warn(str(error))
                self._roll_back(str(error))
            except ProcessLost:
                if self.mark is not None and self.mark.go_back(self.setup):
                    self._save(self.step)
                raise

    @property
    def _pace(self) -> float:
        """What is left of the learning rates: a collapse halves them, because the same steps would collapse again."""
        return 0.5**self.progress.rollbacks

    def _roll_back(self, reason: str) -> None:
        """Go back to where the run was good, with lower learning rates, or end there if that has not helped before.

        A run that is killed here does the same again: the later checkpoints go first, then the good one is replaced.
        """
        rollbacks = self.progress.rollbacks + 1
        self._load(self.progress.good)
        checkpoint.remove_after(self.folder.checkpoints, self.step)
        self.progress.rollbacks = rollbacks
        self._record({"step": self.step, "rollback": rollbacks, "reason": reason})
        if rollbacks > ROLLBACKS:
            self.progress.stopped = f"it went wrong again after {ROLLBACKS} rollbacks"
        self._save(self.step)
        going_on = f"going on with {self._pace:g} of the learning rates"
        self.display.note(f"back at step {self.step}; {self.progress.stopped or going_on}")

    def _when(self) -> str:
        return "in the final evaluation" if self.finishing else f"after step {self.step}"

    def _checkpoint_kept(self) -> str:
        return f"the checkpoint of step {checkpoint.latest(self.folder.checkpoints).step} is kept"

    def _go_on(self) -> str:
        again = ["ganlm", "run", "--resume", str(self.folder.path), *self.setup.host.flags()]
        return f"go on with: {shlex.join(again)}"

    def _explained(self, error: Exception) -> GanlmError:
        """An error with what is left of the run. What is not ours, a bug in a plugin, becomes a TrainingError."""
        if isinstance(error, TrainingError):
            return type(error)(f"{error}; {self._checkpoint_kept()} in {self.folder.path}")
        if isinstance(error, GanlmError):
            return type(error)(f"{error}; {self._checkpoint_kept()}, {self._go_on()}")
        return TrainingError(f"{self._blame(error)}; {self._checkpoint_kept()} in {self.folder.path}")

    def _blame(self, error: Exception) -> str:
        off = "leave --compile off, or " if self.options.compile else ""
        return f"{self._when()}, {self.setup.blame(error)}; {off}--debug shows where"

    def after_step(self, step: int, metrics: Metrics) -> None:
        self.step, options = step, self.options
        last = step == options.steps
        evaluated = last or step % options.evaluate_every == 0
        if last or step % options.log_every == 0:
            self._log(step, metrics)
        if evaluated:
            self._glance(step)
        self._milestone(step)
        due = last or step % options.checkpoint_every == 0 or (evaluated and options.on_collapse == "rollback")
        if due or self.signals or self.progress.stopped:
            self._save(step)
        if self.signals:
            raise KeyboardInterrupt
        if self.progress.stopped:
            raise _Stopped
        self.mark = Mark.of(self.setup) if processes.size() > 1 else None

    def _log(self, step: int, metrics: Metrics) -> None:
        self.setup.trainer.losses.look()
        record = {name: value.item() for name, value in metrics.items()} | {
            "tokens": self.setup.trainer.batches.tokens_drawn
        }
        self._record({"step": step, **record})
        self.display.logged(step, record)
        self._notify("ganlm_step_ended", step=step, metrics=record)

    def _record(self, record: Mapping[str, Any]) -> None:
        self.folder.append_metrics(record)
        self.progress.records += 1

    def _glance(self, step: int) -> None:
        self.setup.trainer.losses.look()
        values, samples = monitor.glance(self.setup, step)
        history = self.progress.history
        history.append({"step": step, **values})
        collapse = monitor.collapse(history, self.real)
        self._record({"step": step, "evaluation": values} | ({"collapse": collapse} if collapse else {}))
        self.folder.write_samples(step, samples)
        self.display.evaluated(step, values, samples)
        self._notify("ganlm_evaluated", step=step, evaluation=values, samples=samples, final=False)
        if monitor.since_best(history) == 0:
            self.setup.keep_as_best()
        if not collapse:
            self.progress.good = step
        elif not monitor.collapse(history[:-1], self.real):
            self._collapsed(f"the generator collapsed after step {step}: {collapse}")
        if 0 < self.options.patience <= monitor.since_best(history):
            self._stop(f"no evaluation was better than that of step {monitor.best(history)['step']}")

    def _collapsed(self, message: str) -> None:
        self.display.warn(message)
        if self.options.on_collapse == "rollback":
            raise _Collapsed(message)
        if self.options.on_collapse == "stop":
            self._stop("the generator collapsed")

    def _stop(self, reason: str) -> None:
        """Let this step be the last, unless it is anyway."""
        if self.step < self.options.steps:
            self.progress.stopped = reason

    def _milestone(self, step: int) -> None:
        """The evaluation that the last one is compared with: where adversarial training starts."""
        if step == self.setup.trainer.algorithm.adversarial_from < self.options.steps:
            self.setup.trainer.losses.look()
            self.progress.evaluations["before"], _ = self._judged(self.setup.generator)
            if step > 0:
                generator = {"generator": self.setup.generator}
                self._share(self.folder.before, generator, step, self.progress.evaluations)

    def _kept(self) -> tuple[int, Mapping[str, nn.Module]]:
        """The networks that are evaluated and shared, and the step of their weights."""
        if self.setup.best is None or not self.progress.history:
            return self.step, self.setup.shared_networks
        return int(monitor.best(self.progress.history)["step"]), dict(self.setup.best)

    def _save(self, step: int) -> None:
        setup = self.setup
        setup.trainer.losses.look()
        checkpoint.save(
            self.folder.checkpoints,
            step,
            modules=setup.modules,
            optimizers={name: each.optimizer for name, each in setup.trainer.optimizers.items()},
            networks=self._kept()[1],
            extra={
                "batches": [setup.trainer.batches.drawn, setup.trainer.batches.tokens_drawn],
                "data": setup.fingerprint,
                "progress": asdict(self.progress),
            },
            protect=[self.progress.good] if self.options.on_collapse == "rollback" else [],
        )

    def _finish(self) -> None:
        """The final evaluation and the bundle."""
        setup, judge, n = self.setup, self.setup.judge, self.options.evaluation_samples
        weights_step, networks = self._kept()
        self.display.finishing(weights_step)
        generator = networks["generator"]
        assert isinstance(generator, Generator)
        values, samples = self._judged(generator)
        self._record({"step": self.step, "weights_step": weights_step, "evaluation": values})
        self.folder.write_samples(None, samples)
        self._notify("ganlm_evaluated", step=self.step, evaluation=values, samples=samples, final=True)
        references = judge.references(n, setup.log_frequencies)
        rows = self.progress.evaluations | {"after": values}
        rows |= {key: round_values(judge.judge(subject())) for key, subject in references.items()}
        for failure in judge.failures:
            self.display.warn(failure)
        stopped = {"stopped": self.progress.stopped} if self.progress.stopped else {}
        self.folder.write_info(weights_step=weights_step, **stopped)
        self._share(self.folder.bundle, networks, weights_step, rows)

    def _judged(self, generator: Generator) -> tuple[Values, list[str]]:
        """The numbers of the final table, and the sentences they are of."""
        subject = written(self.setup, generator, self.options.evaluation_samples)
        return round_values(self.setup.judge.judge(subject)), list(subject.texts)

    def _share(
        self, folder: Path, networks: Mapping[str, nn.Module], weights_step: int, rows: Mapping[str, Values]
    ) -> None:
        """A bundle of networks with the weights of a step, and what their evaluation found."""
        setup, n = self.setup, self.options.evaluation_samples
        protocol = {"samples": n, "temperature": 1.0, "seed": self.options.seed, "weights_step": weights_step}
        save(
            folder,
            config=shared_config(setup.config, self.folder),
            shape=setup.shape,
            networks=networks,
            tokenizer=setup.tokenizer,
            evaluation={**protocol, **rows},
            host=setup.host,
            held_out=setup.corpus.validation[:n],
            unused=setup.trainer.algorithm.unused,
            force=True,
        )

    def _notify(self, hook: str, **arguments: Any) -> None:
        for warning in self.setup.host.notify(hook, **arguments):
            self.display.note(warning)
