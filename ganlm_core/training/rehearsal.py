"""Rehearse the start of adversarial training before the warm-up, so that what fails there fails at once."""

from collections.abc import Callable
from contextlib import suppress

from ganlm_core.errors import GanlmError, NonFinite, TrainingError
from ganlm_core.training.loop import Trainer


def rehearse(trainer: Trainer, blame: Callable[[BaseException], str]) -> bool:
    """Train the last step of the warm-up and the first adversarial step; return whether the run has both.

    The networks cannot be used after that: their weights are released. NaN and infinity are ignored, because the
    networks have random weights here. ``blame`` names the component that failed with an error. Raises TrainingError,
    and the errors of :meth:`Trainer.train`.
    """
    start = trainer.algorithm.adversarial_from
    if not 0 < start < trainer.steps:
        return False
    try:
        with suppress(NonFinite):
            trainer.train(start - 1, lambda step, metrics: None, until=start + 1)
    except (GanlmError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a plugin may raise SystemExit, for example
        told = f"in a rehearsal of the first adversarial step, {blame(error)}"
        raise TrainingError(f"{told}; --debug shows where") from error
    finally:
        trainer.algorithm.to("meta")  # its phases refer to it in circles, so it would stay in memory for a while
    return True
