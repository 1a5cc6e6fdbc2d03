"""Optimisers whose state is divided among the processes of ``torchrun`` (ZeRO, stage 1: Rajbhandari et al. 2020).

Importing this module takes a second or two.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.distributed.optim import ZeroRedundancyOptimizer

from ganlm_core.system import processes


class Sharded(ZeroRedundancyOptimizer):
    """An optimiser that updates some of the parameters in each process, and keeps the state of these alone.

    Then each process receives the others' parameters, so a step leaves what one process would. ``state_dict`` is on
    rank 0 alone, and whole: it is what was loaded or, after a step, what :meth:`collect` brought there.
    """

    _loaded: dict[str, Any] | None = None

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """Make a step. Raises ProcessLost if another process has ended, and the errors of ``closure``."""
        loss = closure()
        with processes.together():
            super().step()
        self._loaded = None
        return loss

    def collect(self) -> None:
        """Bring the state of all processes to rank 0. All processes must call this. Raises ProcessLost."""
        with processes.together():
            self.consolidate_state_dict(to=0)

    def state_dict(self) -> dict[str, Any]:
        return self._loaded or super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**state_dict, "state": dict(state_dict["state"])})  # which removes other ranks' state
        self._loaded = state_dict if processes.rank() == 0 else None
