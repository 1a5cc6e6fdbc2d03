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
        "a worker writes towards goals that a manager sets from leaked features",
        "Guo et al. 2018, 'A Hierarchical Structure of G'",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "algorithm",
        "leakgan",
        "ganlm_leakgan.algorithm:LeakGAN",
        LeakGANOptions,
        "manager and worker by turns, the discriminator's features leaking to both",
        "Guo et al. 2018, Alg. 1",
    )


@hookimpl
def ganlm_recipes() -> Iterator[Path]:
    yield from sorted((Path(__file__).parent / "recipes").glob("*.toml"))
