"""Transformers for ganlm."""

from collections.abc import Iterator

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_transformer.options import (
    TransformerDiscriminatorOptions,
    TransformerLanguageModelOptions,
    TransformerOptions,
)


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield ComponentSpec(
        "generator",
        "transformer",
        "ganlm_transformer.networks:TransformerGenerator",
        TransformerOptions,
        "autoregressive transformer with a key-value cache",
        "Vaswani et al. 2017; pre-norm, Radford et al. 2019, section 2.3",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "discriminator",
        "transformer",
        "ganlm_transformer.networks:TransformerDiscriminator",
        TransformerDiscriminatorOptions,
        "transformer encoder with mean pooling",
        "Vaswani et al. 2017, section 3.1",
    )
    yield ComponentSpec(
        "discriminator",
        "transformer-lm",
        "ganlm_transformer.networks:TransformerLikelihoodRatio",
        TransformerLanguageModelOptions,
        "transformer language model; the logit is a likelihood ratio to the generator",
        "Deng et al. 2020, eq. 1-2; as a language model, Radford et al. 2019",
    )
