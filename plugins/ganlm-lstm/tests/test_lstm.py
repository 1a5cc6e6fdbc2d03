from collections.abc import Callable

import pytest
import torch
from ganlm_lstm import ganlm_components
from ganlm_lstm.networks import LSTMDiscriminator, LSTMGenerator, reverse
from ganlm_lstm.options import LSTMDiscriminatorOptions, LSTMGeneratorOptions
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ganlm_core.errors import OptionError
from ganlm_core.protocol import Shape, mask_of, shift
from ganlm_core.testing import Case, parametrize_with_checks

GENERATOR, PER_LABEL, DISCRIMINATOR, RATIO = ganlm_components()
SHAPE = Shape(vocabulary=9, length=5, noise=3)
TOKENS = torch.tensor([[4, 5, 2, 0, 0], [6, 7, 8, 4, 5], [2, 0, 0, 0, 0]])

VARIANTS = [
    (GENERATOR, {"layers": 2, "dropout": 0.5}),
    (GENERATOR, {"tie": True, "embedding_size": 7}),
    (PER_LABEL, {"layers": 2}),
    (DISCRIMINATOR, {"layers": 2}),
    (DISCRIMINATOR, {"direction": "causal"}),
    (DISCRIMINATOR, {"direction": "causal", "per_position": True}),
    (RATIO, {"models": 2}),
]
"""Options that change the computation. tests/testing/test_conformance.py tests the defaults."""


@parametrize_with_checks(VARIANTS)
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)


@pytest.mark.parametrize("options", [{"layers": 2}, {"tie": True}, {"dropout": 0.5, "layers": 2}], ids=str)
def test_steps_without_gradients_give_the_same_logits_as_the_lstm(options: dict[str, float]) -> None:
    torch.manual_seed(0)
    generator = LSTMGenerator(Shape(50, 5, 3), LSTMGeneratorOptions(hidden_size=8, **options)).eval()  # type: ignore[arg-type]
    noise, tokens = torch.randn(3, 3), torch.randint(3, 50, (3, 5))
    state, logits = generator.start(noise), []
    with torch.no_grad():
        for column in shift(tokens).unbind(dim=1):
            step, state = generator.step(column, state)
            logits.append(step)
    torch.testing.assert_close(torch.stack(logits, dim=1), generator(noise, tokens))


def test_steps_in_training_mode_apply_dropout() -> None:
    generator = LSTMGenerator(Shape(50, 5, 3), LSTMGeneratorOptions(hidden_size=8, dropout=0.5))
    state = generator.start(torch.randn(1, 3))
    with torch.no_grad():
        one, other = (generator.step(torch.tensor([3]), state)[0] for _ in range(2))
    assert not one.equal(other)


def test_a_logit_per_position_needs_the_causal_direction() -> None:
    with pytest.raises(OptionError) as error:
        LSTMDiscriminatorOptions(per_position=True)
    assert str(error.value) == (
        "per-position is true with direction 'bidirectional', where a position sees the whole sequence; "
        "set direction to 'causal'"
    )


def test_a_logit_per_position_does_not_depend_on_later_words() -> None:
    torch.manual_seed(0)
    options = LSTMDiscriminatorOptions(direction="causal", per_position=True)
    discriminator = LSTMDiscriminator(SHAPE, options).eval()
    full, prefix = TOKENS[1:2], TOKENS[1:2, :3]
    logits = discriminator(full, mask_of(full))
    assert logits.shape == (1, 5)
    torch.testing.assert_close(logits[:, :3], discriminator(prefix, mask_of(prefix)))


def test_both_directions_agree_with_a_packed_bidirectional_lstm() -> None:
    torch.manual_seed(0)
    discriminator = LSTMDiscriminator(SHAPE, LSTMDiscriminatorOptions(embedding_size=4, hidden_size=6)).eval()
    reference = nn.LSTM(4, 6, batch_first=True, bidirectional=True)
    assert discriminator.homeward is not None
    weights = dict(discriminator.onward.state_dict())
    weights |= {f"{name}_reverse": weight for name, weight in discriminator.homeward.state_dict().items()}
    reference.load_state_dict(weights)
    mask = mask_of(TOKENS)
    lengths = mask.sum(dim=1)
    embedded = discriminator.embedding(TOKENS)
    packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)
    states = discriminator.states(TOKENS, mask)
    torch.testing.assert_close(states[mask], expected[mask])


def test_the_noise_gives_every_layer_its_own_hidden_and_cell_state() -> None:
    torch.manual_seed(0)
    generator = LSTMGenerator(SHAPE, LSTMGeneratorOptions(hidden_size=4, layers=2))
    hidden, cell = generator.start(torch.randn(3, SHAPE.noise))
    assert hidden.shape == cell.shape == (3, 2, 4)
    assert torch.cat([hidden, cell]).unique().numel() == 48


def test_reverse_does_not_move_padding() -> None:
    states = torch.arange(5.0).view(1, 5, 1)
    mask = torch.tensor([[True, True, True, False, False]])
    assert reverse(states, mask).flatten().tolist() == [2, 1, 0, 3, 4]


def test_tied_weights_are_stored_once() -> None:
    options = LSTMGeneratorOptions(embedding_size=4, hidden_size=6, tie=True)
    weights = LSTMGenerator(SHAPE, options).state_dict()
    assert [name for name, weight in weights.items() if SHAPE.vocabulary in weight.shape] == [
        "prior",
        "embedding.weight",
    ]
