"""Gated recurrent units for ganlm. Every command imports this module, so it must not import torch."""

from collections.abc import Iterator

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl

from ganlm_gru.options import GRUDiscriminatorOptions, GRUGeneratorOptions

GANLM_PLUGIN_API = 1


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield ComponentSpec(
        "generator",
        "gru",
        "ganlm_gru.networks:GRUGenerator",
        GRUGeneratorOptions,
        summary="autoregressive GRU; the noise gives its initial state",
        source="Cho et al. 2014, section 2.3",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "discriminator",
        "gru",
        "ganlm_gru.networks:GRUDiscriminator",
        GRUDiscriminatorOptions,
        summary="GRU with maximum over time",
        source="Cho et al. 2014, section 2.3; max pooling, Conneau et al. 2017, section 3.2.2",
    )
