"""Rewards that read nothing but the text."""

import re
from collections.abc import Mapping, Sequence

from ganlm_core.data.text import words
from ganlm_core.protocol import Reward
from ganlm_core.rewards.options import LengthOptions, RegexOptions


class Regex(Reward):
    """1 for a text in which the pattern is found, else 0."""

    def __init__(self, options: RegexOptions) -> None:
        self.pattern = re.compile(options.pattern)

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [float(self.pattern.search(text) is not None) for text in texts]


class Length(Reward):
    """1 for a length within bounds, else 1 / (1 + d) at a distance of d words or characters from the nearer bound."""

    def __init__(self, options: LengthOptions) -> None:
        self.options = options

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [1 / (1 + self._distance(text)) for text in texts]

    def _distance(self, text: str) -> int:
        length = len(words(text)) if self.options.unit == "word" else len(text)
        return max(self.options.shortest - length, length - self.options.longest, 0)
