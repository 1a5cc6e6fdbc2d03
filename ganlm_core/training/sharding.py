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
    _all_state_dicts: list[dict[str, Any]]

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """Make a step. Raises the errors of ``closure``, and ProcessLost if another process has ended."""
        loss = super().step(closure)  # type: ignore[arg-type]  # torch types the loss as a float and takes tensors
        self._loaded, self._all_state_dicts = None, []  # else rank 0 would keep a copy of all parts
        return loss  # type: ignore[return-value]

    def _sync_params(self) -> None:
        with processes.collective():
            super()._sync_params()  # type: ignore[misc]  # torch does not type it

    def collect(self) -> None:
        """Bring the state of all processes to rank 0. All processes must call this. Raises ProcessLost."""
        with processes.collective():
            self.consolidate_state_dict(to=0)

    def state_dict(self) -> dict[str, Any]:
        return self._loaded or super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the part of this process.

        Torch keeps it twice, leaves earlier state where there is none to load, and puts ``step`` on the CPU, where the
        fused Adam of CUDA does not find it. So the copy that torch.optim.Optimizer made replaces what is there.
        """
        super().load_state_dict({**state_dict, "state": dict(state_dict["state"])})  # which removes other ranks' state
        self.optim.state.clear()
        self.optim.state.update({parameter: state for parameter, state in self.state.items() if state is not None})
        self.state.clear()
        self._loaded = state_dict if processes.rank() == 0 else None
