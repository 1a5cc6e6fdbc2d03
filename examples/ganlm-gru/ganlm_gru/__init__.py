"""Gated recurrent units for ganlm. What is imported here is imported by every command: no torch."""

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
        summary="autoregressive GRU that starts from the noise",
        source="Cho et al. 2014, section 2.3",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "discriminator",
        "gru",
        "ganlm_gru.networks:GRUDiscriminator",
        GRUDiscriminatorOptions,
        summary="GRU over the sentence, and the maximum over time",
        source="Cho et al. 2014, section 2.3; max pooling, Conneau et al. 2017, section 3.2.2",
    )
