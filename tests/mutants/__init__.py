"""Components that break the protocol, one promise each; what they are derived from keeps it."""

from tests.mutants import algorithms, components, data, discriminators, generators, networks, parts
from tests.mutants.breaking import MUTANTS, Mutant, mutant

__all__ = [
    "MUTANTS",
    "Mutant",
    "algorithms",
    "components",
    "data",
    "discriminators",
    "generators",
    "mutant",
    "networks",
    "parts",
]
