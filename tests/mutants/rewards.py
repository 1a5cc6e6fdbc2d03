"""Rewards that break the protocol, one promise each."""

import random
from collections.abc import Mapping, Sequence

import torch

from ganlm_core.components import RewardOptions
from ganlm_core.protocol import Reward
from tests.mutants.breaking import breaks


class Half(Reward):
    """Keeps every promise."""

    def __init__(self, options: RewardOptions) -> None:
        self.options = options

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [0.5 for _ in texts]


@breaks("reward", "rewards.check_numbers", "gives nan for ''; return finite numbers")
class NotANumber(Half):
    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [0.5 if text else float("nan") for text in texts]


@breaks("reward", "rewards.check_numbers", "gives 11 numbers for 12 texts; return one for each")
class LeavesOneOut(Half):
    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [0.5 for text in texts if text]


@breaks("reward", "rewards.check_numbers", "gives 13 for '...'; return 0 to 1, or set unbounded = True in its class")
class Unbounded(Half):
    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [13.0 for _ in texts]


@breaks("reward", "rewards.check_numbers", "gives a value of type str for '...'; return numbers")
class Words(Half):
    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return ["high" for _ in texts]  # type: ignore[misc]


@breaks("reward", "rewards.check_numbers", "changes the texts that it gets; copy them before you change them")
class Sorts(Half):
    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        texts.sort()
        return super().__call__(texts, columns)


@breaks("reward", "rewards.check_rows", "gives other numbers for the same texts; leave chance out of it")
class Random(Half):
    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [random.random() for _ in texts]


@breaks("reward", "rewards.check_rows", "gives other numbers when it is built again; use a fixed seed")
class BuiltByChance(Half):
    def __init__(self, options: RewardOptions) -> None:
        super().__init__(options)
        self.number = torch.rand(()).item()

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [self.number for _ in texts]


@breaks(
    "reward",
    "rewards.check_rows",
    "gives a text another number among other texts; compute it from the text alone",
)
class RelativeToTheBatch(Half):
    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        longest = max(map(len, texts)) or 1
        return [len(text) / longest for text in texts]


@breaks(
    "reward",
    "rewards.check_rows",
    "gives other numbers beside a column that it does not know; ignore that column",
)
class ReadsEveryColumn(Half):
    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [0.5 / (1 + len(columns)) for _ in texts]
