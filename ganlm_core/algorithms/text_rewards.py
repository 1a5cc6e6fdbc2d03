"""Rewards that need no trained model: a pattern, a length, or validity under the process of a corpus."""

import math
import re
from collections.abc import Mapping, Sequence

from ganlm_core.algorithms.options import LengthOptions, RegexOptions, ValidityOptions
from ganlm_core.data.corpus import Corpus, Process
from ganlm_core.data.text import words
from ganlm_core.errors import OptionError
from ganlm_core.plugins.host import default_host
from ganlm_core.protocol import Reward


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


class Validity(Reward):
    """1 for a text that the process of a corpus can give, else 0."""

    def __init__(self, options: ValidityOptions) -> None:
        self.process = _process(options.corpus)

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [float(score > -math.inf) for score in self.process.log_prob(texts)]


def _process(name: str) -> Process:
    """Return the process of an installed corpus with its default options. Raises OptionError if it has none."""
    corpus: Corpus = default_host().build("corpus", name)
    if corpus.process is None:
        raise OptionError(f"corpus '{name}' has no exact process, so no text is known to be valid; choose another one")
    return corpus.process
