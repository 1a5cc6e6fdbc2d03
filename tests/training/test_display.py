"""The display of a run: whatever happens to it, the run goes on."""

import warnings
from typing import Any

import pytest

from ganlm_core.errors import GanlmWarning
from ganlm_core.training.display import Display, PythonWarnings, SafeDisplay

EVENTS: dict[str, tuple[Any, ...]] = {
    "started": (None, None, 0),
    "logged": (1, {}),
    "evaluated": (1, {}, []),
    "finishing": (1,),
    "note": ("a line",),
    "warn": ("a line",),
    "stopping": (),
    "ended": (None, "finished"),
}


class Failing(Display):
    """Keeps the events, and fails from the second on."""

    def __init__(self, error: Exception) -> None:
        self.error, self.seen = error, 0

    def note(self, line: str) -> None:
        self.seen += 1
        if self.seen > 1:
            raise self.error


class Keeping(Display):
    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def __getattribute__(self, name: str) -> Any:
        if name in EVENTS:
            return lambda *arguments: self.events.append((name, *arguments))
        return super().__getattribute__(name)


def test_every_event_has_a_place_in_both_classes() -> None:
    assert {name for name in vars(Display) if not name.startswith("_")} == EVENTS.keys()
    assert EVENTS.keys() <= vars(SafeDisplay).keys()


def test_every_event_is_passed_on() -> None:
    keeping = Keeping()
    for name, arguments in EVENTS.items():
        getattr(SafeDisplay(keeping), name)(*arguments)
    assert keeping.events == [(name, *arguments) for name, arguments in EVENTS.items()]


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left"), ValueError("closed file")])
def test_a_display_that_fails_is_silent_from_then_on(error: Exception) -> None:
    failing = Failing(error)
    display = SafeDisplay(failing)
    for _ in range(5):
        display.note("a line")
    assert failing.seen == 2


def test_a_display_that_failed_still_ends_with_the_run() -> None:
    """It may have a process to end."""
    keeping = Keeping()
    display = SafeDisplay(keeping)
    display.display = Display()
    display.note("a line")
    display.ended(None, "finished")  # type: ignore[arg-type]
    assert keeping.events == [("ended", None, "finished")]


def test_notes_and_warnings_of_a_run_become_warnings_of_python() -> None:
    for report in (SafeDisplay(PythonWarnings()).warn, SafeDisplay(PythonWarnings()).note):
        with pytest.warns(GanlmWarning, match="^the generator collapsed$") as warned:
            report("the generator collapsed")
        assert [each.filename for each in warned] == [__file__]


def test_a_warning_that_is_an_error_is_not_swallowed() -> None:
    display = SafeDisplay(PythonWarnings())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(GanlmWarning, match=r"^the generator collapsed$"):
                display.warn("the generator collapsed")


def test_an_interruption_is_not_swallowed() -> None:
    class Interrupted(Display):
        def note(self, line: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SafeDisplay(Interrupted()).note("a line")
