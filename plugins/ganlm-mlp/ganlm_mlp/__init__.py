"""Multilayer perceptrons for ganlm."""

from collections.abc import Iterator

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_mlp.options import MLPDiscriminatorOptions, MLPGeneratorOptions, NgramOptions


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
