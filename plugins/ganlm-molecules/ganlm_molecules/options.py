"""Options of the corpus of molecules."""

from ganlm_core.components import Options, option


class MoleculesOptions(Options):
    size: int = option(10_000, "molecules drawn: 90% train, 5% validation, 5% test", min=100, max=1_000_000)
    seed: int = option(0, "random seed of the molecules", min=0, max=2**63 - 1)
    largest: int = option(24, "most atoms of a molecule, without hydrogen", min=16, max=60)
