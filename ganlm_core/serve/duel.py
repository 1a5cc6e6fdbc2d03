"""Duel: a person and the discriminator judge the same sentences, half of them real and half generated."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ganlm_core.bundle.model import Model
from ganlm_core.data.mapped_lines import lookup
from ganlm_core.errors import UsageError

SENTENCES = 20


@dataclass(frozen=True)
class Question:
    """A sentence of a duel, and the answer."""

    text: str
    real: bool


def questions(model: Model, test: Sequence[str], seed: int) -> list[Question]:
    """Return the sentences of the duel of a seed, in random order: half from the test split, half from the generator.

    A generated sentence that is also a real sentence is left out, because it has no wrong answer. Raises UsageError if
    there is no real text.
    """
    half = SENTENCES // 2
    if len(test) < half:
        raise UsageError(
            f"a duel wants {half} real sentences, and there are {len(test)}: the text of this bundle is not here; "
            "name it with --data"
        )
    rng = random.Random(seed)
    real, known = rng.sample(list(test), half), lookup(test)
    generated = [text for text in dict.fromkeys(model.sample(10 * half, seed=seed)) if text not in known][:half]
    found = [*(Question(text, True) for text in real), *(Question(text, False) for text in generated)]
    rng.shuffle(found)
    return found
