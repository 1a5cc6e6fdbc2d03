"""Checks of rewards."""

from collections.abc import Sequence

from ganlm_core.algorithms.rewards import problem_with_rewards
from ganlm_core.data.grammar import Grammar
from ganlm_core.protocol import Reward
from ganlm_core.testing.case import Case
from ganlm_core.testing.kinds import build

TEXTS = (*Grammar().sample(8, seed=0), "", "x", "C1=CC=CC=C1", "\u00e9")


def check_numbers(case: Case) -> None:
    """It returns a finite number for every text, also for an empty one, from 0 to 1 unless it is unbounded."""
    texts = list(TEXTS)
    reward: Reward = build(case)
    problem = problem_with_rewards(reward(texts, {}), TEXTS, reward.unbounded)
    case.expect(not problem, problem)
    case.expect(texts == list(TEXTS), "changes the texts that it gets; copy them before you change them")


def check_rows(case: Case) -> None:
    """The number of a text does not depend on other texts, on further columns, on the seed or on earlier calls."""
    reward: Reward = build(case)
    found = _numbers(reward, TEXTS)
    case.expect(found == _numbers(reward, TEXTS), "gives other numbers for the same texts; leave chance out of it")
    again = _numbers(build(case, seed=1), TEXTS)
    case.expect(found == again, "gives other numbers when it is built again; use a fixed seed")
    alone = [number for text in TEXTS for number in _numbers(reward, [text])]
    case.expect(
        all(abs(one - other) < 1e-6 for one, other in zip(found, alone, strict=True)),
        "gives a text another number among other texts; compute it from the text alone",
    )
    beside = [float(number) for number in reward(list(TEXTS), {"unknown": ["?"] * len(TEXTS)})]
    case.expect(found == beside, "gives other numbers beside a column that it does not know; ignore that column")


def _numbers(reward: Reward, texts: Sequence[str]) -> list[float]:
    return [float(number) for number in reward(list(texts), {})]


FIRST = (check_numbers,)
CHECKS = (check_rows,)
