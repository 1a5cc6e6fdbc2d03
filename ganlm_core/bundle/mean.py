"""The mean of several bundles, ``mean:A,B,C``, as one model."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from ganlm_core.bundle.locate import MEAN, members_of
from ganlm_core.bundle.model import Model
from ganlm_core.errors import UsageError
from ganlm_core.protocol import AutoregressiveGenerator
from ganlm_core.sampling import MeanGenerator


def first_of(address: str) -> str:
    """Return the first bundle of ``mean:A,B,C``, whose training text is that of all; any other address as it is."""
    return members_of(address)[0] if address.startswith(MEAN) else address


def mean_of(models: Sequence[Model], address: str) -> Model:
    """Return a model without a discriminator, whose generator is a :class:`ganlm_core.sampling.MeanGenerator`.

    Its metadata is the metadata of the first model. Raises UsageError for a generator that writes all positions at
    once, and for models of different sizes, vocabularies, labels or training texts.
    """
    first, *others = models
    for other in others:
        if difference := _difference(first, other):
            raise UsageError(
                f"{first.source} and {other.source} have different {difference}; give models that were trained on "
                "the same text with the same sizes"
            )
    generator = MeanGenerator([_autoregressive(model) for model in models]).to(first.device)
    generator = generator.eval().requires_grad_(False)
    return replace(first, generator=generator, discriminator=None, calibration=None, evaluation={}, source=address)


def _autoregressive(model: Model) -> AutoregressiveGenerator:
    if isinstance(model.generator, AutoregressiveGenerator):
        return model.generator
    raise UsageError(
        f"{model.source} writes all positions at once, so it has no probability of the next word to take the mean of; "
        "give autoregressive models"
    )


def _difference(one: Model, other: Model) -> str:
    sizes = zip(*(asdict(each.generator.shape).items() for each in (one, other)), strict=True)
    for (name, size), (_, another) in sizes:
        if size != another:
            return f"sizes, {name} {size} and {another}"
    if one.tokenizer.to_json() != other.tokenizer.to_json():
        return "vocabularies"
    if one.config.labels != other.config.labels:
        return "labels"
    return "training texts" if one.config.changed_splits(other.config.corpus or {}) else ""
