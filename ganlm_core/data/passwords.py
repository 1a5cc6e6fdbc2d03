"""Passwords of at most ten characters, from a process that was written for this project: a word and a tail.

No real password was used. A word, sometimes with a capital letter, is followed by nothing, digits, a year or a sign.
All words are equally likely, and so are all tails of a kind. A word has only letters and a tail has none, so each
password can be produced in one way only and its probability is a product.
"""

import random
from collections.abc import Sequence
from math import inf, log

from ganlm_core.data.corpus import Corpus, split
from ganlm_core.data.options import PasswordsOptions

WORDS = """
amber angel apple april baker banana basket beach bear berry bird blue bridge bunny butter candle candy castle cat
cherry circus clover coffee cookie copper daisy dance desert diesel dog dragon dream eagle earth ember falcon fire
fish flower forest fox friday galaxy garden ghost ginger gold guitar hammer happy harbor hello honey horse island
jacket jaguar jasper jungle king kitten ladder lemon lion little lucky magic maple marble meadow melody mint monday
monkey moon music night ocean olive orange panda pepper piano pirate planet purple rabbit rain red river robin
rocket rose shadow silver sky smile snow spider spring star storm sugar summer sun sunny sweet tiger turtle velvet
violet water whale willow winter wolf yellow zebra
"""
CAPITAL = 0.2
TAILS = (
    (0.25, [""]),
    (0.15, [str(digit) for digit in range(10)]),
    (0.25, [f"{number:02}" for number in range(100)]),
    (0.15, [str(year) for year in range(1960, 2020)]),
    (0.12, ["123"]),
    (0.08, ["!"]),
)
"""The probability of each kind of tail, and the tails of the kind."""


class Passwords:
    """The process: heads and tails with their probabilities, drawn independently."""

    name = "passwords"

    def __init__(self) -> None:
        words = WORDS.split()
        self.heads = {word: (1 - CAPITAL) / len(words) for word in words}
        self.heads |= {word.capitalize(): CAPITAL / len(words) for word in words}
        self.tails = {tail: share / len(kind) for share, kind in TAILS for tail in kind}

    def log_prob(self, texts: Sequence[str]) -> list[float]:
        return [self._log_prob(text) for text in texts]

    def sample(self, n: int, seed: int) -> list[str]:
        rng = random.Random(seed)
        heads = rng.choices(list(self.heads), list(self.heads.values()), k=n)
        tails = rng.choices(list(self.tails), list(self.tails.values()), k=n)
        return [head + tail for head, tail in zip(heads, tails, strict=True)]

    def _log_prob(self, text: str) -> float:
        head = text.rstrip("0123456789!")
        p = self.heads.get(head, 0) * self.tails.get(text[len(head) :], 0)
        return log(p) if p else -inf


def passwords_corpus(options: PasswordsOptions) -> Corpus:
    """Return ``options.size`` passwords; the process gives their exact probabilities."""
    process = Passwords()
    return split("passwords", process.sample(options.size, options.seed), process=process)
