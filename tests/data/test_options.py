"""The options of the corpora and the tokenizers: their ranges."""

import pytest

from ganlm_core.components import Options
from ganlm_core.data.grammar import Grammar
from ganlm_core.data.options import TOKENIZERS, FileOptions, GrammarOptions, OracleOptions, PasswordsOptions
from ganlm_core.data.oracle import oracle_corpus
from ganlm_core.data.passwords import Passwords
from ganlm_core.errors import OptionError

LARGEST_SEED = 2**63 - 1


@pytest.mark.parametrize("options", [GrammarOptions, PasswordsOptions, OracleOptions])
def test_a_seed_has_63_bits(options: type[Options]) -> None:
    assert options.of({"seed": LARGEST_SEED}, "corpus").as_dict()["seed"] == LARGEST_SEED
    for seed in (-1, LARGEST_SEED + 1):
        with pytest.raises(OptionError, match="seed"):
            options.of({"seed": seed}, "corpus")


def test_the_largest_seed_draws() -> None:
    for process in (Grammar(), Passwords()):
        assert process.sample(3, LARGEST_SEED) != process.sample(3, LARGEST_SEED - 1)
    found = oracle_corpus(OracleOptions(size=300, seed=LARGEST_SEED, vocabulary=100, length=5))
    assert len(found.train) + len(found.validation) + len(found.test) == 300


@pytest.mark.parametrize("name", ["max-line", "max-size", "max-sentences"])
def test_a_bound_of_a_file_is_at_least_one(name: str) -> None:
    with pytest.raises(OptionError, match=name):
        FileOptions.of({name.replace("-", "_"): 0}, "corpus 'file'")


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_vocabulary_has_room_for_a_word_beside_the_special_tokens(kind: str) -> None:
    with pytest.raises(OptionError, match="vocabulary"):
        TOKENIZERS[kind].of({"vocabulary": 4}, f"tokenizer '{kind}'")
