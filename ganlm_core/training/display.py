"""Display: what a run reports while it trains."""

from collections.abc import Mapping

from ganlm_core.metrics.judge import Values
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.setup import Setup


class Display:
    """What a run tells whoever watches it. This one says nothing; the command line's shows progress."""

    def started(self, setup: Setup, folder: RunFolder, step: int) -> None: ...

    def logged(self, step: int, record: Mapping[str, float]) -> None: ...

    def evaluated(self, step: int, values: Values, samples: list[str]) -> None:
        """A glance during training; the final evaluation is in the bundle."""

    def finishing(self, weights_step: int) -> None:
        """The final evaluation begins, of the weights of that step."""

    def note(self, line: str) -> None: ...

    def warn(self, line: str) -> None: ...

    def stopping(self) -> None:
        """A signal asked for the end. Called in its handler, amid anything: it may note that but not write."""

    def ended(self, folder: RunFolder, status: str) -> None: ...
