"""The networks of a run with labels or prompts, as they train: they read the conditions of the batch."""

from ganlm_core.data.conditions import RowConditions
from ganlm_core.errors import UsageError
from ganlm_core.protocol import AutoregressiveGenerator, Discriminator, Generator, Shape
from ganlm_core.sampling.conditions import ConditionalDiscriminator, PromptedGenerator


def conditional(
    name: str, shape: Shape, asked: RowConditions, generator: Generator, discriminator: Discriminator
) -> tuple[Generator, Discriminator]:
    """Return the networks as they train on sequences with these conditions; unchanged if there are none.

    Raises UsageError for prompts and a generator, ``name``, that writes all positions at once.
    """
    if asked.labels is not None or asked.given is not None:
        discriminator = ConditionalDiscriminator(discriminator, shape)
    if asked.given is None:
        return generator, discriminator
    if not isinstance(generator, AutoregressiveGenerator):
        raise UsageError(
            f"the data have prompts, and generator '{name}' writes all positions at once, so it cannot continue them; "
            "choose a --gen that writes word by word, or name a --corpus.column that has whole texts"
        )
    return PromptedGenerator(generator), discriminator
