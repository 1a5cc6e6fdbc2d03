"""Rewards of molecules."""

from collections.abc import Mapping, Sequence

from ganlm_core.components import RewardOptions
from ganlm_core.protocol import Reward
from ganlm_molecules.chemistry import drug_likeness, parse


class DrugLikeness(Reward):
    """The quantitative estimate of drug-likeness (Bickerton et al. 2012); 0 for a text that is no molecule."""

    def __init__(self, options: RewardOptions) -> None:
        self.options = options

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [drug_likeness(text) for text in texts]


class ValidSmiles(Reward):
    """1 for a text that RDKit reads as a molecule, else 0."""

    def __init__(self, options: RewardOptions) -> None:
        self.options = options

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [float(parse(text) is not None) for text in texts]
