"""The reference components: they pass the checks themselves, and their data has the shapes that the checks need."""

import pytest
import torch

from ganlm_core.components import Kind
from ganlm_core.protocol import EOS, PAD, mask_of
from ganlm_core.testing import Case, references, run_checks
from tests.mutants import mutant


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("generator", "Recurrent"),
        ("generator", "OneShot"),
        ("discriminator", "Bag"),
        ("discriminator", "BagByPosition"),
    ],
)
def test_the_reference_networks_pass_every_check(kind: Kind, name: str) -> None:
    exceptions = {"check_light_import": "the kit is imported to check something, and never listed"}
    spec = mutant(kind, f"ganlm_core.testing.references:{name}", exceptions=exceptions)
    assert [result for result in run_checks(Case(spec)) if result.status == "failed"] == []


def test_the_first_row_of_tokens_has_no_end_and_the_others_have() -> None:
    torch.manual_seed(0)
    tokens = references.tokens(5)
    assert (tokens == EOS).any(dim=1).tolist() == [False, True, True, True, True]
    assert tokens[~mask_of(tokens)].eq(PAD).all()


def test_every_sequence_is_enumerated_once() -> None:
    """Four words, one of which ends the sequence: 1 + 3 + 9 sequences that end, and 27 that do not by then."""
    every = references.every_sequence()
    assert len(every) == 1 + 3 + 9 + 27
    assert len(every.unique(dim=0)) == len(every)


def test_pairs_are_the_same_each_time() -> None:
    first, again = (list(references.pairs()) for _ in range(2))
    assert len(first) == len(references.GENERATORS) * len(references.DISCRIMINATORS)
    for one, other in zip(first, again, strict=True):
        for network, copy in zip(one, other, strict=True):
            assert all(map(torch.equal, network.parameters(), copy.parameters()))
