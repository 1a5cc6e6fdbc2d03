"""The networks of RelGAN for ganlm, and its recipe."""

from collections.abc import Iterator
from pathlib import Path

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_relational.options import MultiEmbeddingOptions, RelationalMemoryOptions


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield ComponentSpec(
        "generator",
        "relational-memory",
        "ganlm_relational.networks:RelationalMemoryGenerator",
        RelationalMemoryOptions,
        "autoregressive relational memory: slots attend to each other and to the input",
        "Santoro et al. 2018, section 3; in a GAN, Nie et al. 2019",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "discriminator",
        "multi-embedding",
        "ganlm_relational.networks:MultiEmbeddingDiscriminator",
        MultiEmbeddingOptions,
        "one text CNN over several embeddings of the sentence",
        "Nie et al. 2019",
    )


@hookimpl
def ganlm_recipes() -> Iterator[Path]:
    yield from sorted((Path(__file__).parent / "recipes").glob("*.toml"))
