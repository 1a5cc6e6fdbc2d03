"""Multilayer perceptrons for ganlm."""

from collections.abc import Iterator

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_mlp.options import MLPDiscriminatorOptions, MLPGeneratorOptions, NgramLanguageModelOptions, NgramOptions


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield ComponentSpec(
        "generator",
        "mlp",
        "ganlm_mlp.networks:MLPGenerator",
        MLPGeneratorOptions,
        "MLP that writes all positions at once from the noise",
        "Goodfellow et al. 2014, section 5",
        recipe="one-shot",
    )
    yield ComponentSpec(
        "generator",
        "ngram-mlp",
        "ganlm_mlp.networks:NgramGenerator",
        NgramOptions,
        "autoregressive MLP with a window of the last tokens",
        "Bengio et al. 2003, eq. 1",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "discriminator",
        "mlp",
        "ganlm_mlp.networks:MLPDiscriminator",
        MLPDiscriminatorOptions,
        "MLP on the flattened embeddings of the sequence",
        "Goodfellow et al. 2014, section 5",
    )
    yield ComponentSpec(
        "discriminator",
        "ngram-mlp-lm",
        "ganlm_mlp.networks:NgramLikelihoodRatio",
        NgramLanguageModelOptions,
        "MLP language model on a window; the logit is a likelihood ratio to the generator",
        "Deng et al. 2020, eq. 1-2; as a language model, Bengio et al. 2003",
    )
