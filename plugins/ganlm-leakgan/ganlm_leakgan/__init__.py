"""LeakGAN for ganlm: its generator, its algorithm and its recipe."""

from collections.abc import Iterator
from pathlib import Path

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_leakgan.options import LeakGANOptions, LeakGeneratorOptions


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield ComponentSpec(
        "generator",
        "leakgan",
        "ganlm_leakgan.networks:LeakGenerator",
        LeakGeneratorOptions,
        "a manager sets goals from leaked features; a worker writes words towards them",
        "Guo et al. 2018, 'A Hierarchical Structure of G'",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "algorithm",
        "leakgan",
        "ganlm_leakgan.algorithm:LeakGAN",
        LeakGANOptions,
        "trains manager and worker in turns; the discriminator's features leak to both",
        "Guo et al. 2018, Alg. 1",
    )


@hookimpl
def ganlm_recipes() -> Iterator[Path]:
    yield from sorted((Path(__file__).parent / "recipes").glob("*.toml"))
