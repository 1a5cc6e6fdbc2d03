"""Mutants: components that break one promise of the protocol each. Their base classes keep all promises."""

from tests.mutants import algorithms, components, data, discriminators, generators, networks, parts, rewards
from tests.mutants.breaking import MUTANTS, Mutant, mutant
from tests.mutants.catching import assert_told, caught, every_check, mutants_of

__all__ = [
    "MUTANTS",
    "Mutant",
    "algorithms",
    "assert_told",
    "caught",
    "components",
    "data",
    "discriminators",
    "every_check",
    "generators",
    "mutant",
    "mutants_of",
    "networks",
    "parts",
    "rewards",
]
