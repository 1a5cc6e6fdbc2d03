"""A run: everything that happens around the loop of :mod:`ganlm_core.training.loop`.

Metrics, interim evaluations, checkpoints, signals, the decisions that depend on them, the final evaluation and the
bundle.
"""

import os
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from torch import nn

from ganlm_core.bundle.save import save
from ganlm_core.config.options import TrainingOptions
from ganlm_core.config.recipes import method_of
from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import (
    GanlmError,
    GanlmWarning,
    Interrupted,
    NonFinite,
    ProcessLost,
    TrainingError,
    UsageError,
    WriteError,
    reworded,
)
from ganlm_core.metrics.judge import Values, round_values
from ganlm_core.protocol import Discriminator, Generator
from ganlm_core.system import processes
from ganlm_core.system.signals import caught_signals, interrupting_signals, is_from_handler
from ganlm_core.training import checkpoint, monitor
from ganlm_core.training.checkpoint import Checkpoint
from ganlm_core.training.display import Display
from ganlm_core.training.loop import Metrics
from ganlm_core.training.parallel import StepState, collect, lead, written
from ganlm_core.training.progress import Progress, Saved, saved_values
from ganlm_core.training.resuming import has_more_steps, restore_missing_files
from ganlm_core.training.run_folder import STARTING, RunFolder, versions
from ganlm_core.training.setup import Setup

ROLLBACKS = 3
"""Maximum number of rollbacks after a collapse; each rollback halves the learning rates."""


def _clocks() -> dict[str, float]:
    """Return the times that run.json keeps: wall-clock time, and processor time of all cores together."""
    return {"seconds": time.monotonic(), "cpu_seconds": time.process_time()}


class _Stopped(Exception):
    """Raised after a step, to leave the loop before its end."""


class _Collapsed(Exception):
    """Raised after a step, to leave the loop and go back; its text is the reason."""


@dataclass
class Run:
    """One training in its folder: everything that happens around the loop."""

    setup: Setup
    folder: RunFolder
    display: Display
    progress: Progress = field(default_factory=Progress)
    step: int = 0
    finishing: bool = False
    mark: StepState | None = None
    signals: list[int] = field(default_factory=list)

    @cached_property
    def options(self) -> TrainingOptions:
        return self.setup.config.training

    @cached_property
    def reference(self) -> Values:
        """The values of real text and of the unigram model, to compare an interim evaluation with."""
        return monitor.reference(self.setup)

    @cached_property
    def config(self) -> str:
        """The text of this run's config.toml, which every checkpoint keeps."""
        return self.folder.config()

    def begin(self) -> None:
        """Evaluate the untrained generator, if adversarial training starts there, and write the first checkpoint."""
        setup = self.setup
        self.folder.write_tokenizer(setup.tokenizer.to_json())
        self.folder.metrics.truncate(0)
        self.folder.write_info(
            status=STARTING,
            command=sys.argv,
            device=str(setup.device),
            seed=setup.config.training.seed,
            versions=versions(),
            shape=setup.shape.sizes(),
            **({"labels": list(setup.labels.items())} if setup.labels else {}),
            **self._plugins,
            method=method_of(setup.config, setup.host),
            unused=setup.trainer.algorithm.unused,
            corpus={"name": Path(setup.corpus.name).name, **setup.corpus.digests()},
            descent=setup.start.to_dict(),
            notes=setup.notes,
        )
        try:
            self._milestone(0)
        except (GanlmError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise TrainingError(self._blame(error)) from error
        self._save(0)
        self.folder.write_info(status="started")

    @property
    def _plugins(self) -> dict[str, Any]:
        """The plugins of the run as fields of run.json. A resumed run may have other versions or files."""
        host, config, kinds = self.setup.host, self.setup.config, ("generator", "discriminator", "algorithm")
        origins = {kind: host.origin(kind, getattr(config, kind).name) for kind in kinds}
        return {"plugins": origins, "plugin_files": [os.path.realpath(file) for file in host.files]}

    def restore(self) -> None:
        """Go back to the newest checkpoint. Raises WeightsError, DataError, and UsageError for an edited config.toml.

        The data are compared before the tensors, because other data may need networks of other shapes.
        """
        found = checkpoint.latest(self.folder.checkpoints)
        saved = self._values(found)
        more = has_more_steps(RunConfig.from_toml(self.setup.host, saved.config), self.setup.config, self.folder)
        lost = self._load(found, saved)
        if more:  # the user wants them, whatever ended the run before
            self.progress.stopped, self.progress.extended = "", len(self.progress.history)
        checkpoint.prune(self.folder.checkpoints, self._protected)
        for note in (found.note, lost, *restore_missing_files(self.folder, self.setup.tokenizer.to_json())):
            if note:
                self.display.note(note)
        stopped = {"stopped": None} if "stopped" in self.folder.info() else {}
        self.folder.write_info(status="started", **self._plugins, **stopped)

    def _values(self, found: Checkpoint) -> Saved:
        return saved_values(found, self.setup.fingerprint, self.folder.path)

    def _load(self, found: Checkpoint, saved: Saved) -> str:
        """Take over the state of a checkpoint; return a note on lines of metrics.jsonl that were lost or added."""
        checkpoint.restore(found, modules=self.setup.modules, optimizers=self.setup.optimizers)
        self.step = found.step
        self.setup.trainer.batches.position = saved.batches
        self.progress = saved.progress
        wanted, metrics = self.progress.records, self.folder.metrics
        added = metrics.has_grown(wanted, self.step)
        self.progress.records = metrics.truncate(wanted)
        self.folder.remove_samples_after(self.step)
        if added:
            return f"{metrics.path} has lines that the run did not write, so it may lack others; training goes on"
        lost = wanted - self.progress.records
        return f"{metrics.path} has lost {lost:,} of its {wanted:,} lines; training goes on" if lost else ""

    def tidy(self) -> None:
        """Remove what could not be removed at its time, if the disk allows it now."""
        with suppress(WriteError):
            self.folder.tidy()
        checkpoint.prune(self.folder.checkpoints, self._protected)

    def train(self) -> None:
        setup = self.setup
        self.display.started(setup, self.folder, self.step)
        self._notify("ganlm_run_started", folder=self.folder.path, config=setup.config.to_dict())
        status, began, earlier = "failed", _clocks(), self.folder.info()
        try:
            with caught_signals(self.display.stopping) as self.signals:
                self._train()
            self.finishing = True
            with interrupting_signals(self.signals):
                if self.signals:  # one that came while the last checkpoint was written
                    raise KeyboardInterrupt
                self._finish()
            status = "finished"
        except (UsageError, GanlmWarning):
            raise
        except BaseException as error:  # a plugin may raise SystemExit, for example; that too is an error of its own
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            if status == "failed" and is_from_handler(error):
                raise
            raise self._explained(error) from (None if status == "interrupted" else error)
        finally:
            with suppress(GanlmError):  # a disk that refuses this too has a better error on its way
                spent = {name: round(earlier.get(name, 0) + now - began[name], 1) for name, now in _clocks().items()}
                self.folder.write_info(status=status, **spent)
            self.display.ended(self.folder, status)
            self._notify("ganlm_run_ended", status=status)

    def _train(self) -> None:
        """Run the loop to its end, or until it is stopped; after a collapse, run it again from an earlier step."""
        while self.step < self.options.steps and not self.progress.stopped:
            try:
                after_step = lead(self.setup, self.step, self._pace, self.after_step)
                self.setup.trainer.slowed(self._pace).train(self.step, after_step, self.options.steps)
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
        """The factor of the learning rates. Each collapse halves it, because the same steps would collapse again."""
        return 0.5**self.progress.rollbacks

    def _roll_back(self, reason: str) -> None:
        """Go back to the last good checkpoint, with lower learning rates; end there after ROLLBACKS rollbacks.

        A run that is killed here does the same again: it removes later checkpoints first, then replaces the good one.
        """
        rollbacks = self.progress.rollbacks + 1
        good = checkpoint.at(self.folder.checkpoints, self.progress.good)
        self._load(good, self._values(good))
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
        """Name the newest checkpoint. An error in reading it must not hide the original error."""
        try:
            return f"the checkpoint of step {checkpoint.latest(self.folder.checkpoints).step} is kept"
        except Exception:
            return "no checkpoint can be read"

    def _resume_command(self) -> str:
        again = ["ganlm", "run", "--resume", str(self.folder.path), *self.setup.host.flags()]
        return f"resume with: {shlex.join(again)}"

    def _explained(self, error: BaseException) -> GanlmError:
        """Return an error that also names the kept checkpoint. An exception of a plugin becomes a TrainingError."""
        if isinstance(error, KeyboardInterrupt):
            message = f"interrupted {self._when()}; {self._checkpoint_kept()}, {self._resume_command()}"
            return Interrupted(message, *self.signals[:1])
        if isinstance(error, TrainingError):
            return reworded(error, f"{error}; {self._checkpoint_kept()} in {self.folder.path}")
        if isinstance(error, GanlmError):
            return reworded(error, f"{error}; {self._checkpoint_kept()}, {self._resume_command()}")
        return TrainingError(f"{self._blame(error)}; {self._checkpoint_kept()} in {self.folder.path}")

    def _blame(self, error: BaseException) -> str:
        off = "leave --compile off, or " if self.options.compile else ""
        return f"{self._when()}, {self.setup.blame(error)}; {off}--debug shows where"

    @property
    def _protected(self) -> list[int]:
        """The steps whose checkpoints a rollback may need."""
        return [self.progress.good] if self.options.on_collapse == "rollback" else []

    def after_step(self, step: int, metrics: Metrics) -> None:
        """Log, evaluate and save as configured, then leave the loop if a signal or an evaluation asked for it."""
        self.mark = None  # of the step before
        self.step, options = step, self.options
        last = step == options.steps
        evaluated = last or step % options.evaluate_every == 0 or (self._starts(step) and options.keep == "best")
        if last or step % options.log_every == 0:
            self._log(step, metrics)
        if evaluated:
            self._evaluate_interim(step)
        self._milestone(step)
        due = last or step % options.checkpoint_every == 0 or (evaluated and options.on_collapse == "rollback")
        if due or self.signals or self.progress.stopped:
            self._save(step)
        if self.signals:
            raise KeyboardInterrupt
        if self.progress.stopped:
            raise _Stopped
        self.mark = StepState.of(self.setup) if processes.size() > 1 else None

    def _log(self, step: int, metrics: Metrics) -> None:
        self.setup.trainer.losses.check()
        record = {name: value.item() for name, value in metrics.items()} | {
            "tokens": self.setup.trainer.batches.tokens_drawn
        }
        self._record({"step": step, **record})
        self.display.logged(step, record)
        self._notify("ganlm_step_ended", step=step, metrics=record)

    def _record(self, record: Mapping[str, Any]) -> None:
        self.folder.metrics.append(record)
        self.progress.records += 1

    def _evaluate_interim(self, step: int) -> None:
        self.setup.trainer.losses.check()
        values, samples = monitor.interim_evaluation(self.setup, step)
        history = self.progress.history
        history.append({"step": step, **values})
        collapse, memorised = monitor.collapse(history, self.reference), self._memorised(history)
        seen = {"collapse": collapse, "memorised": "; ".join(memorised.values())}
        self._record({"step": step, "evaluation": values} | {name: words for name, words in seen.items() if words})
        self.folder.write_samples(step, samples)
        self.display.evaluated(step, values, samples)
        self._warn_of_memorising(memorised)
        self._notify("ganlm_evaluated", step=step, evaluation=values, samples=samples, final=False)
        if monitor.since_best(history) == 0:
            self.setup.keep_as_best()
        if not collapse:
            self.progress.good = step
        elif not monitor.collapse(history[:-1], self.reference):
            self._collapsed(f"the generator collapsed after step {step}: {collapse}")
        if 0 < self.options.patience <= min(monitor.since_best(history), len(history) - self.progress.extended):
            self._stop(f"no evaluation was better than that of step {monitor.best(history)['step']}")

    def _memorised(self, history: monitor.History) -> dict[str, str]:
        """Return the signs of memorising at the last interim evaluation of a history."""
        trainer = self.setup.trainer
        start = trainer.algorithm.adversarial_from
        until = start if start < trainer.steps else self.options.steps
        return monitor.memorised(history, self.reference, until) if history else {}

    def _warn_of_memorising(self, signs: Mapping[str, str]) -> None:
        """Warn of signs that the previous interim evaluation did not show."""
        new = signs.keys() - self._memorised(self.progress.history[:-1]).keys()
        if new:
            step = monitor.best(self.progress.history)["step"]
            kept = f"--keep best keeps the weights of step {step:.0f}"
            advice = f"the weights of step {step:.0f} are kept" if self.options.keep == "best" else kept
            told = "; ".join(words for name, words in signs.items() if name in new)
            by_heart = "memorises its training text" if new & {"turned", "copied"} else "is worse than it began"
            self.display.warn(f"the generator {by_heart}: {told}; {advice}")

    def _collapsed(self, message: str) -> None:
        self.display.warn(message)
        if self.options.on_collapse == "rollback":
            raise _Collapsed(message)
        if self.options.on_collapse == "stop":
            self._stop("the generator collapsed")

    def _stop(self, reason: str) -> None:
        """Make this step the last one, unless it is anyway."""
        if self.step < self.options.steps:
            self.progress.stopped = reason

    def _starts(self, step: int) -> bool:
        """Return whether adversarial training starts after a step. Its start may be the best, if it does harm."""
        return step == self.setup.trainer.algorithm.adversarial_from < self.setup.trainer.steps

    def _milestone(self, step: int) -> None:
        """At the start of adversarial training, evaluate what the warm-up gives, to compare the end with it.

        That is its best weights with ``--keep best``: the choice among evaluations is not a gain of what follows.
        """
        if self._starts(step):
            self.setup.trainer.losses.check()
            weights_step, networks = self._kept()
            generator = cast(Generator, networks["generator"])
            self.progress.evaluations["before"], _ = self._judged(generator)
            if step > 0:
                self._write_bundle(
                    self.folder.before, {"generator": generator}, weights_step, self.progress.evaluations
                )

    def _kept(self) -> tuple[int, Mapping[str, nn.Module]]:
        """Return the step of the weights that are evaluated and saved, and the networks that have them."""
        if self.setup.best is None or not self.progress.history:
            return self.step, self.setup.shared_networks
        return int(monitor.best(self.progress.history)["step"]), dict(self.setup.best)

    def _save(self, step: int) -> None:
        setup = self.setup
        setup.trainer.losses.check()
        setup.trainer.check_weights(step)
        collect(setup)
        self.folder.metrics.sync()
        saved = Saved(setup.trainer.batches.position, setup.fingerprint, self.progress, self.config)
        checkpoint.save(
            self.folder.checkpoints,
            step,
            modules=setup.modules,
            optimizers=setup.optimizers,
            networks=self._kept()[1],
            extra=saved.to_tree(),
            protect=self._protected,
        )

    def _finish(self) -> None:
        """Make the final evaluation and the bundle."""
        setup, judge, n = self.setup, self.setup.judge, self.options.evaluation_samples
        weights_step, networks = self._kept()
        self.display.finishing(weights_step)
        generator = cast(Generator, networks["generator"])
        discriminator = monitor.trained_discriminator(setup, weights_step, networks)
        values, samples = self._judged(generator, discriminator)
        self._record({"step": self.step, "weights_step": weights_step, "evaluation": values})
        self.folder.write_samples(None, samples)
        self._notify("ganlm_evaluated", step=self.step, evaluation=values, samples=samples, final=True)
        references = judge.references(n, setup.log_frequencies, judge.scores_of(discriminator))
        rows = self.progress.evaluations | {"after": values}
        rows |= {key: round_values(judge.judge(subject())) for key, subject in references.items()}
        for failure in judge.failures:
            self.display.warn(failure)
        stopped = {"stopped": self.progress.stopped} if self.progress.stopped else {}
        self.folder.write_info(weights_step=weights_step, **stopped)
        self.folder.drop_evaluation()
        self._write_bundle(self.folder.bundle, self._trained(networks, weights_step, discriminator), weights_step, rows)

    def _trained(
        self, networks: Mapping[str, nn.Module], weights_step: int, discriminator: Discriminator | None
    ) -> dict[str, nn.Module]:
        """Return the networks to share, without a discriminator whose weights are random: it would seem to judge."""
        found = dict(networks)
        if discriminator is None and "discriminator" in found and "discriminator" not in self.folder.descent():
            del found["discriminator"]
            advice = "; --keep last keeps the networks of the last step" if self.options.keep == "best" else ""
            self.display.note(
                f"the discriminator was not trained before step {weights_step}, so the bundle has none{advice}"
            )
        return found

    def _judged(self, generator: Generator, discriminator: Discriminator | None = None) -> tuple[Values, list[str]]:
        """Return the numbers of the final table, and the sentences that they describe."""
        subject = written(self.setup, generator, self.options.evaluation_samples, discriminator)
        return round_values(self.setup.judge.judge(subject)), list(subject.texts)

    def _write_bundle(
        self, folder: Path, networks: Mapping[str, nn.Module], weights_step: int, rows: Mapping[str, Values]
    ) -> None:
        """Write a bundle of networks with the weights of a step, and the values of their evaluation."""
        setup, n = self.setup, self.options.evaluation_samples
        protocol = {"samples": n, "temperature": 1.0, "seed": self.options.seed, "weights_step": weights_step}
        protocol |= {"test_sentences": len(setup.corpus.test)}
        if setup.corpus.process is None:
            protocol |= round_values({"copies_by_chance": setup.judge.conditions.copies_by_chance})
        cost = {"tokens_read": setup.trainer.batches.tokens_drawn}
        save(
            folder,
            config=setup.config,
            shape=setup.shape,
            networks=networks,
            tokenizer=setup.tokenizer,
            evaluation={**protocol, **cost, **rows},
            host=setup.host,
            corpus=self.folder.info().get("corpus"),
            descent=self.folder.descent(),
            held_out=setup.corpus.validation[:n],
            labels=setup.labels,
            held_out_labels=setup.corpus.beside("validation").labels[:n],
            unused=setup.trainer.algorithm.unused,
            force=True,
        )

    def _notify(self, hook: str, **arguments: Any) -> None:
        for warning in self.setup.host.notify(hook, **arguments):
            self.display.note(warning)
