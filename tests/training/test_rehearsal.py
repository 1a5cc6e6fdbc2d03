"""The rehearsal of the first adversarial step: what fails there fails before the warm-up, and nothing of it stays."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import ganlm_core
from ganlm_core.algorithms.penalties import R1
from ganlm_core.errors import OutOfMemory, TrainingError
from ganlm_core.protocol import Phase
from ganlm_core.training import setup
from ganlm_core.training.rehearsal import rehearse
from ganlm_core.training.setup import Setup, prepare
from tests.conftest import WARM, tiny_config

PENALISED = {"penalty": "r1", "algorithm_options": WARM}


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the penalty R1 raise an error."""

    def penalty(self: R1, *_: object) -> torch.Tensor:
        raise error

    monkeypatch.setattr(R1, "__call__", penalty)


def test_a_penalty_that_fails_is_told_before_the_warm_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fails_with(monkeypatch, SystemExit("no such norm"))
    with pytest.raises(TrainingError) as caught:
        ganlm_core.train(tiny_config("ngram-mlp", "mlp", **PENALISED), out=tmp_path / "run")
    assert str(caught.value) == (
        "in a rehearsal of the first adversarial step, "
        f"penalty 'r1' of ganlm {ganlm_core.__version__} failed with SystemExit: no such norm; --debug shows where"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("raised", "wanted"), [(KeyboardInterrupt(), KeyboardInterrupt), (MemoryError(), OutOfMemory)])
def test_an_interrupt_and_a_lack_of_memory_stay_what_they_are(
    monkeypatch: pytest.MonkeyPatch, raised: BaseException, wanted: type[BaseException]
) -> None:
    fails_with(monkeypatch, raised)
    with pytest.raises(wanted):
        prepare(tiny_config("ngram-mlp", "mlp", **PENALISED))


def state(setup: Setup) -> list[torch.Tensor]:
    return [torch.get_rng_state(), *setup.trainer.algorithm.state_dict().values()]


def test_a_run_is_the_same_after_its_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config("lstm", "conv", **PENALISED)
    rehearsed = prepare(config)
    found = state(rehearsed)
    monkeypatch.setattr(setup, "rehearse", lambda *_: False)
    wanted = prepare(config)
    assert all(mine.equal(others) for mine, others in zip(found, state(wanted), strict=True))
    assert rehearsed.trainer.batches.drawn == 0
    assert not any(each.optimizer.state for each in rehearsed.trainer.optimizers.values())


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_only_a_run_with_a_warm_up_is_rehearsed(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """The rehearsal releases the weights of its networks. Its last step is the first adversarial one."""
    monkeypatch.setattr(setup, "rehearse", lambda *_: False)
    config = tiny_config("ngram-mlp", "mlp", steps=10, algorithm_options={"warmup": share, "discriminator_warmup": 0})
    trainer = prepare(config).trainer
    steps: list[int] = []
    phases = trainer.algorithm.phases

    def seen(step: int) -> Sequence[Phase]:
        steps.append(step)
        return phases(step)

    monkeypatch.setattr(trainer.algorithm, "phases", seen)
    assert rehearse(trainer, str) is (share > 0)
    assert steps == ([4, 5] if share else [])
    assert all(each.is_meta is (share > 0) for each in trainer.algorithm.parameters())


def test_a_rehearsal_ignores_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that the warm-up has not trained say nothing about the weights after it."""
    monkeypatch.setattr(R1, "__call__", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    assert prepare(tiny_config("ngram-mlp", "mlp", **PENALISED)).trainer.batches.drawn == 0
