"""Damaged real text: an error of each kind, and the share of rows that get one."""

from dataclasses import replace

import torch

from ganlm_core.algorithms import corruption
from ganlm_core.algorithms.corruption import damaged, with_errors
from ganlm_core.algorithms.penalties import relaxed
from ganlm_core.protocol import EOS, PAD, Batch, Sequences, Shape, mask_of
from tests.tiny import TinyGenerator, TinyOneShot

TOKENS = torch.tensor([[4, 5, 6, 2, 0, 0], [7, 2, 0, 0, 0, 0], [3, 4, 5, 6, 7, 8], [2, 0, 0, 0, 0, 0]])
SHAPE = Shape(vocabulary=9, length=6, noise=2)
BATCH = Batch(TOKENS, mask_of(TOKENS), torch.zeros(4, 2))
AT = torch.tensor([[1], [0], [4], [0]])


def test_each_kind_makes_its_error() -> None:
    generator = TinyGenerator(SHAPE)
    assert corruption._swapped(generator, BATCH, AT).tolist() == [
        [4, 6, 5, 2, 0, 0], [7, 2, 0, 0, 0, 0], [3, 4, 5, 6, 8, 7], [2, 0, 0, 0, 0, 0]
    ]  # fmt: skip
    assert corruption._without(generator, BATCH, AT)[:3].tolist() == [
        [4, 6, 2, 0, 0, 0], [2, 0, 0, 0, 0, 0], [3, 4, 5, 6, 7, 8]
    ]  # fmt: skip
    assert corruption._repeated(generator, BATCH, AT)[:3].tolist() == [
        [4, 5, 5, 6, 2, 0], [7, 7, 2, 0, 0, 0], [3, 4, 5, 6, 7, 7]
    ]  # fmt: skip
    replaced = corruption._replaced_by_draw(generator, BATCH, AT)
    assert torch.equal(replaced != TOKENS, (replaced != TOKENS) & (torch.arange(6) == AT))
    assert EOS not in replaced.gather(1, AT)


def test_the_halves_of_a_spliced_sentence_are_from_two_sentences_and_the_second_has_an_end() -> None:
    tokens = torch.tensor([[4, 5, 6, 2, 0, 0], [7, 8, 5, 4, 2, 0]])
    batch, generator = Batch(tokens, mask_of(tokens), torch.zeros(2, 2)), TinyGenerator(SHAPE)
    found = [corruption._spliced(generator, batch, torch.tensor([[at], [at + 1]])).tolist() for at in range(2)]
    assert found == [
        [[4, 8, 5, 4, 2, 0], [7, 8, 6, 2, 0, 0]],
        [[4, 5, 5, 4, 2, 0], [7, 5, 6, 2, 0, 0]],
    ]


def test_a_sentence_beside_one_of_a_single_word_gets_another_word_instead_of_a_half() -> None:
    torch.manual_seed(0)
    found = torch.stack([corruption._spliced(TinyGenerator(SHAPE), BATCH, AT) for _ in range(50)])
    changed = (found != TOKENS)[:, :3]
    assert changed.any()
    assert not (changed & (torch.arange(6) != AT[:3])).any()


def test_damage_keeps_padding_behind_the_end_in_every_kind() -> None:
    torch.manual_seed(0)
    ended = (TOKENS == EOS).any(dim=1)
    for _ in range(50):
        found = damaged(TinyGenerator(SHAPE), BATCH)
        assert torch.equal(found == PAD, ~mask_of(found))
        assert (found == EOS).any(dim=1)[ended].all()


def test_a_prompt_is_not_damaged() -> None:
    torch.manual_seed(0)
    given = torch.tensor([2, 1, 0, 0])
    batch = replace(BATCH, given=given)
    changed = torch.stack([damaged(TinyGenerator(SHAPE), batch) != TOKENS for _ in range(60)]).any(dim=0)
    assert not (changed & (torch.arange(6) < given[:, None])).any()
    assert changed.any(dim=1).tolist() == [True, False, True, False]


def test_a_prompt_longer_than_the_other_sentence_has_no_half_of_it() -> None:
    tokens = torch.tensor([[5, 6, 7, 8, 5, 2], [5, 6, 2, 0, 0, 0]])
    batch = Batch(tokens, mask_of(tokens), torch.zeros(2, 2), given=torch.tensor([4, 1]))
    found = [corruption._spliced(TinyGenerator(SHAPE), batch, torch.tensor([[4], [at]])) for at in range(1, 2)]
    assert all(torch.equal(each == PAD, ~mask_of(each)) for each in found)


def test_a_share_of_the_rows_is_damaged_and_the_rest_stays() -> None:
    torch.manual_seed(0)
    generated = torch.full((4, 6), 8)
    rows = Sequences(generated, mask_of(generated))
    found = [with_errors(TinyGenerator(SHAPE), BATCH, rows, 0.25).sequence for _ in range(400)]
    kept = torch.stack([(each == 8).all(dim=1) for each in found]).float().mean().item()
    assert 0.75 < kept < 0.88
    assert torch.equal(with_errors(TinyGenerator(SHAPE), BATCH, rows, 0.0).sequence, generated)


def test_relaxed_samples_get_one_hots_of_damaged_text() -> None:
    soft = relaxed(torch.full((4, 6), 8), 9).float()
    found = with_errors(TinyOneShot(SHAPE), BATCH, Sequences(soft, torch.ones(4, 6, dtype=torch.bool)), 1.0)
    assert found.sequence.shape == (4, 6, 9)
    assert torch.equal(found.mask, mask_of(found.sequence.argmax(dim=-1)))
