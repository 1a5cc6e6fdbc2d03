"""Time BLEU-2..5 and leave-one-out Self-BLEU beside NLTK, which scores a few of the same sentences in the same run.

    python benchmarks/bleu.py HYPOTHESES.txt REFERENCES.txt

prints processor seconds and the ratio for one sentence. Both must agree to nine digits.
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import click
import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from numpy.typing import NDArray

from ganlm_core.cli import run_command
from ganlm_core.data.corpus import spread
from ganlm_core.data.text import words
from ganlm_core.data.text_files import read_sentences
from ganlm_core.metrics.bleu import bleu, self_bleu
from ganlm_core.metrics.ngrams import Index

FILE = click.Path(exists=True, dir_okay=False)
WEIGHTS = [(1 / n,) * n for n in range(1, 6)]
METHOD_1 = SmoothingFunction().method1

T = TypeVar("T")
Words = Sequence[str]
Scores = NDArray[np.float64]


@click.command()
@click.argument("hypotheses", type=FILE)
@click.argument("references", type=FILE)
@click.option("--few", default=5, show_default=True, help="sentences that NLTK scores")
def main(hypotheses: str, references: str, few: int) -> None:
    """Score a file of sentences against another file and against itself, and score a few of them with NLTK."""
    texts, others = (read_sentences(path).texts for path in (hypotheses, references))
    places = list(spread(range(len(texts)), few))
    split, real = [*map(words, texts)], [*map(words, others)]
    compare(
        f"{len(texts):,} sentences against {len(others):,}",
        lambda: bleu(texts, Index(others, words))[places],
        lambda: [nltk_score(split[place], real) for place in places],
        len(texts) / few,
    )
    compare(
        f"{len(texts):,} sentences, each against the {len(texts) - 1:,} others",
        lambda: self_bleu(Index(texts, words))[places],
        lambda: [nltk_score(split[place], split[:place] + split[place + 1 :]) for place in places],
        len(texts) / few,
    )


def compare(title: str, ours: Callable[[], Scores], theirs: Callable[[], list[Scores]], times: float) -> None:
    """Time both functions; ``theirs`` scores one in ``times`` sentences. Fails if they disagree."""
    (found, seconds), (wanted, of_few) = timed(ours), timed(theirs)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)
    ratio = of_few * times / seconds
    print(f"{title}: {seconds:.2f} s; NLTK {of_few:.2f} s for {len(wanted)} of them, {ratio:,.0f} times as long")


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """Return the result of a function and its processor seconds, on all cores together."""
    start = time.process_time()
    return function(), time.process_time() - start


def nltk_score(hypothesis: Words, references: list[Words]) -> Scores:
    """Return BLEU-1 to BLEU-5 of one sentence."""
    return np.array(sentence_bleu(references, hypothesis, WEIGHTS, METHOD_1))


if __name__ == "__main__":
    sys.exit(run_command(main))
