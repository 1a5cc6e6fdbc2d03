"""The progress of a sweep: one line a run, redrawn on a terminal; elsewhere a line when a run's state changes."""

from types import TracebackType

from rich.live import Live
from rich.table import Table

from ganlm_core.cli import console
from ganlm_core.cli.context import is_quiet
from ganlm_core.cli.output import note
from ganlm_core.sweep.status import State, SweepStates, duration, summary
from ganlm_core.system.printable import printable


class SweepDisplay:
    """Shows the states of runs on standard error while a sweep trains; ``--quiet`` shows nothing."""

    def __init__(self, states: SweepStates) -> None:
        self.states, self.quiet = states, is_quiet()
        self.console = console.diagnostics()
        self.live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self.shown: dict[str, str] = {}

    def __enter__(self) -> "SweepDisplay":
        if self.live is not None and not self.quiet:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None and not self.quiet:
            self.live.stop()

    def look(self) -> None:
        """Read the states and show changes."""
        if self.quiet:
            return
        states = self.states.look()
        if self.live is not None:
            self.live.update(_table(states), refresh=True)
            return
        changed = [state for state in states if self.shown.get(state.name, "waiting") != state.status]
        self.shown |= {state.name: state.status for state in changed}
        for state in changed:
            note(str(state))
        if changed:
            note(summary(states))


def _table(states: list[State]) -> Table:
    """Return a line for each run: its name, its state, its steps, the time left; and a line for all of them."""
    table = Table.grid(padding=(0, 2))
    for state in states:
        left = duration(state.seconds) if state.seconds is not None else ""
        where = printable(state.host) if state.status == "training" else ""
        told = printable(state.failure or where)
        table.add_row(printable(state.name), state.status, f"{state.step:,}/{state.steps:,}", left, told)
    table.add_row(summary(states))
    return table
