"""Signals that ask a run to stop."""

import signal
import threading
from collections.abc import Iterator

import pytest

from ganlm_core.system.signals import caught_signals, interrupting_signals, is_from_handler, pass_on

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Default(Exception):
    """Raised by the handler that a signal had before, which stands for the end of the process."""


@pytest.fixture(autouse=True)
def _handlers_before() -> Iterator[None]:
    def die(number: int, frame: object) -> None:
        raise Default(number)

    before = {number: signal.signal(number, die) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_is_caught_and_told(number: int) -> None:
    told: list[str] = []
    with caught_signals(lambda: told.append("first")) as caught:
        assert caught == []
        signal.raise_signal(number)
        assert (caught, told) == ([number], ["first"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_acts_as_before(number: int) -> None:
    with caught_signals(lambda: None) as caught:
        signal.raise_signal(number)
        with pytest.raises(Default):
            signal.raise_signal(number)
    assert caught == [number]


@pytest.mark.parametrize("number", STOPPING)
def test_afterwards_the_handlers_are_those_from_before(number: int) -> None:
    with caught_signals(lambda: None):
        pass
    with interrupting_signals():
        pass
    with pytest.raises(Default):
        signal.raise_signal(number)


def test_a_signal_between_the_handlers_and_the_block_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    install = signal.signal

    def early(number: int, handler: object) -> object:
        before = install(number, handler)  # type: ignore[arg-type]
        if number == signal.SIGTERM and not early_ones:
            early_ones.append(number)
            signal.raise_signal(number)
        return before

    early_ones: list[int] = []
    monkeypatch.setattr(signal, "signal", early)
    with caught_signals(lambda: None) as caught:
        assert caught == early_ones == [signal.SIGTERM]


def test_hangups_after_the_first_are_ignored_to_the_end_of_the_process() -> None:
    with caught_signals(lambda: None) as caught:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    assert caught == [signal.SIGHUP]


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with caught_signals(lambda: None) as caught, interrupting_signals():
        signal.raise_signal(signal.SIGHUP)
    assert caught == [] and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize("number", STOPPING)
def test_an_interrupting_signal_raises_at_once(number: int) -> None:
    with pytest.raises(KeyboardInterrupt), interrupting_signals():
        signal.raise_signal(number)
    if number == signal.SIGHUP:
        signal.raise_signal(number)


def test_another_thread_catches_nothing_and_does_not_fail() -> None:
    entered: list[list[int]] = []

    def work() -> None:
        with caught_signals(lambda: None) as caught, interrupting_signals():
            entered.append(caught)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [[]]


def test_a_signal_is_passed_on_to_the_programs_own_handler_if_there_is_one() -> None:
    with pytest.raises(Default):
        pass_on(signal.SIGTERM)
    for handler in (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler):
        signal.signal(signal.SIGINT, handler)
        pass_on(signal.SIGINT)


def test_an_error_of_a_handler_is_told_from_others() -> None:
    with pytest.raises(Default) as caught:
        signal.raise_signal(signal.SIGTERM)
    assert is_from_handler(caught.value) and not is_from_handler(Default())
