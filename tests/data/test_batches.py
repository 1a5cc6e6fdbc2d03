"""Batches: epochs, permutations, masks, counts and noise."""

from itertools import chain
from typing import Any

import pytest
import torch

from ganlm_core.data import batches
from ganlm_core.data.batches import Batches
from ganlm_core.data.conditions import RowConditions
from ganlm_core.protocol import mask_of
from tests.tiny import SHAPE, every_sequence

CPU = torch.device("cpu")
TOKENS, _ = every_sequence()


def make_batches(size: int = 8, seed: int = 0, rows: int = len(TOKENS), **more: Any) -> Batches:
    return Batches(TOKENS[:rows], size, seed, SHAPE.noise, CPU, **more)


def rows_of(batches: Batches, count: int) -> list[list[Any]]:
    return [[tuple(row) for row in batches.next(0, 1).tokens.tolist()] for _ in range(count)]


def test_every_epoch_is_a_permutation_of_its_own() -> None:
    everything = sorted(map(tuple, TOKENS.tolist()))
    drawn = rows_of(make_batches(size=8), 10)
    epochs = [list(chain(*drawn[start : start + 5])) for start in (0, 5)]
    assert [sorted(epoch) for epoch in epochs] == [everything, everything]
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("size", [3, 8, 19])
def test_the_epochs_of_very_many_sequences_are_permutations_too(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """It is computed in parts of 16 places, of which batches of 19 are larger and of 3 no divisor."""
    monkeypatch.setattr(batches, "LARGEST", 39)
    monkeypatch.setattr(batches, "PART", 16)
    length = len(TOKENS) // size
    drawn = rows_of(make_batches(size=size), 2 * length)
    epochs = [list(chain(*drawn[start : start + length])) for start in (0, length)]
    assert [len({*epoch}) for epoch in epochs] == [length * size] * 2
    assert epochs[0] != epochs[1]
    assert rows_of(make_batches(size=size, drawn=length), 1) == [drawn[length]]


def test_ids_of_a_small_type_give_the_same_batches() -> None:
    one, other = make_batches(), make_batches()
    other.tokens = TOKENS.to(torch.int16)
    for _ in range(3):
        first, second = one.next(0, 1), other.next(0, 1)
        assert first.tokens.dtype == second.tokens.dtype == torch.int64
        assert first.tokens.equal(second.tokens) and first.mask.equal(second.mask)


def test_the_last_incomplete_batch_of_an_epoch_is_dropped() -> None:
    """3 batches of 12 leave out 4 of 40 sequences, and another 4 in the next epoch."""
    drawn = rows_of(make_batches(size=12), 6)
    epochs = [set(chain(*drawn[start : start + 3])) for start in (0, 3)]
    assert [len(epoch) for epoch in epochs] == [36, 36]
    assert epochs[0] != epochs[1]


def test_a_batch_is_a_function_of_the_seed_and_its_number() -> None:
    expected = rows_of(make_batches(), 12)
    for drawn in (0, 3, 5, 11):
        assert rows_of(make_batches(drawn=drawn), 1) == [expected[drawn]]
    others = [rows_of(make_batches(seed=seed), 12) for seed in (1, 2**32, 2**70)]
    assert all(other != expected for other in others)


def test_a_batch_is_rows_of_the_data_with_their_masks() -> None:
    batch = make_batches().next(3, 11)
    assert batch.mask.equal(mask_of(batch.tokens))
    assert (batch.tokens.shape, batch.noise.shape) == ((8, SHAPE.length), (8, SHAPE.noise))
    assert (batch.step, batch.progress) == (3, 0.3)


def test_fewer_sequences_than_the_batch_size_are_one_batch() -> None:
    batches = make_batches(size=64, rows=5)
    everything = sorted(map(tuple, TOKENS[:5].tolist()))
    for rows in rows_of(batches, 3):
        assert sorted(rows) == everything


def test_tokens_are_counted_without_the_padding() -> None:
    batches = make_batches()
    expected = sum(int(batches.next(0, 1).mask.sum()) for _ in range(7))
    assert batches.tokens_drawn == expected
    assert 0 < expected < 7 * 8 * SHAPE.length


def test_noise_is_normal_and_follows_the_global_random_state() -> None:
    batches = Batches(TOKENS.repeat(50, 1), 2000, 0, 10, CPU)
    torch.manual_seed(0)
    noise = batches.next(0, 1).noise
    # 20000 normal numbers: the mean within 4.5 / sqrt(20000), the deviation within 4.5 / sqrt(40000).
    assert abs(noise.mean()) < 0.032
    assert abs(noise.std() - 1) < 0.023
    torch.manual_seed(0)
    assert batches.next(0, 1).noise.equal(noise)
    assert not batches.next(0, 1).noise.equal(noise)


def test_a_batch_has_the_conditions_of_its_rows() -> None:
    """Every row of this corpus is told from its first token, so the conditions can be recomputed from the tokens."""
    first = TOKENS[:, 0]
    asked = RowConditions(labels=first % 3, given=(first > 3).long(), columns={"first": list(map(str, first.tolist()))})
    plain, conditional = make_batches(), make_batches(asked=asked, labels=3)
    for _ in range(8):
        state = torch.get_rng_state()
        without = plain.next(0, 1)
        torch.set_rng_state(state)
        batch = conditional.next(0, 1)
        firsts = batch.tokens[:, 0]
        assert batch.labels is not None and batch.given is not None
        assert batch.labels.equal(firsts % 3) and batch.given.equal((firsts > 3).long())
        assert batch.columns == {"first": list(map(str, firsts.tolist()))}
        assert batch.noise[:, : SHAPE.noise].equal(without.noise) and batch.tokens.equal(without.tokens)
        assert batch.noise[:, SHAPE.noise :].argmax(dim=1).equal(batch.labels)
        assert batch.noise[:, SHAPE.noise :].sum(dim=1).eq(1).all()
        assert batch.scored.equal(batch.mask & ~((torch.arange(SHAPE.length) == 0) & (firsts > 3)[:, None]))
        assert without.labels is without.given is None and without.scored is without.mask
