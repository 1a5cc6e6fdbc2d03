"""The checks of rewards: each catches its mutants, and its message says what to change."""

from tests.mutants import assert_told, mutants_of


@mutants_of("rewards")
def test_a_reward_that_breaks_a_promise_is_told_which(number: int) -> None:
    assert_told(number)
