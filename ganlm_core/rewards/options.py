"""Options of the built-in rewards."""

import re

from ganlm_core.components import RewardOptions, option
from ganlm_core.errors import OptionError


class RegexOptions(RewardOptions):
    pattern: str = option(".", "regular expression of Python that is searched for in a text")

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise OptionError(f"pattern is {self.pattern!r}, no regular expression ({error}); correct it") from None


class LengthOptions(RewardOptions):
    shortest: int = option(1, "least length of a text that gets the whole reward", min=0)
    longest: int = option(10, "greatest length of a text that gets the whole reward", min=0)
    unit: str = option("word", "unit of the lengths", choices=("word", "character"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.longest:
            raise OptionError(f"shortest is {self.shortest}, above longest ({self.longest}); lower it")


class ValidityOptions(RewardOptions):
    corpus: str = option("grammar", "corpus with an exact process, such as grammar or passwords")


class ClassifierOptions(RewardOptions):
    path: str = option("", "bundle, run, zoo:NAME or hf:OWNER/NAME@REVISION, calibrated or with labels")
    label: str = option("", "pay the probability of this label instead; needs a bundle with labels")
