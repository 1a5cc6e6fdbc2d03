"""The networks of a run as they train: wrapped where there are conditions, themselves where there are none."""

import pytest
import torch

from ganlm_core.data.conditions import RowConditions
from ganlm_core.errors import UsageError
from ganlm_core.protocol import Shape
from ganlm_core.sampling.conditions import ConditionalDiscriminator, PromptedGenerator, unconditional
from ganlm_core.training.conditioning import conditional
from tests.tiny import TinyDiscriminator, TinyGenerator, TinyOneShot

SHAPE = Shape(6, 3, 2, labels=2)
LABELS, GIVEN = torch.tensor([0, 1]), torch.tensor([1, 0])


def test_networks_without_conditions_are_not_touched() -> None:
    networks = TinyGenerator(), TinyDiscriminator()
    assert conditional("tiny", SHAPE, RowConditions(), *networks) == networks


def test_labels_change_what_a_discriminator_reads_and_prompts_what_a_generator_writes() -> None:
    generator, discriminator = TinyGenerator(SHAPE.of("generator")), TinyDiscriminator(SHAPE.of("discriminator"))
    found = conditional("tiny", SHAPE, RowConditions(LABELS), generator, discriminator)
    assert found[0] is generator and isinstance(found[1], ConditionalDiscriminator)
    found = conditional("tiny", SHAPE, RowConditions(LABELS, GIVEN), generator, discriminator)
    assert isinstance(found[0], PromptedGenerator) and found[0].prior is generator.prior
    assert [unconditional(each) for each in found] == [generator, discriminator]


def test_a_one_shot_generator_takes_labels_and_no_prompts() -> None:
    generator, discriminator = TinyOneShot(SHAPE.of("generator")), TinyDiscriminator(SHAPE.of("discriminator"))
    assert conditional("tiny", SHAPE, RowConditions(LABELS), generator, discriminator)[0] is generator
    with pytest.raises(UsageError) as caught:
        conditional("tiny", SHAPE, RowConditions(given=GIVEN), generator, discriminator)
    assert str(caught.value) == (
        "the data have prompts, and generator 'tiny' writes all positions at once, so it cannot continue them; "
        "choose a --gen that writes word by word, or name a --corpus.column that has whole texts"
    )
