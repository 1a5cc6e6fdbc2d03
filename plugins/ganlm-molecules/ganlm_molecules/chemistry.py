"""RDKit behind a few functions of texts. Importing this module without RDKit raises PluginError, which says so."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ganlm_core.errors import PluginError

try:
    from rdkit import Chem, DataStructs, rdBase
    from rdkit.Chem import BRICS, QED, Crippen, Descriptors, Draw, rdFingerprintGenerator
except ImportError as error:
    raise PluginError("molecules need RDKit: pip install 'ganlm[molecules]'") from error

__all__ = ["BRICS", "Chem", "Draw", "canonical", "diversity", "drug_likeness", "parse", "properties"]

RADIUS, BITS = 2, 1024
"""The Morgan fingerprints of MOSES (Polykovskiy et al. 2020, section 3)."""


def parse(text: str) -> Chem.Mol | None:
    """Return the molecule of a SMILES; None for text that is none, that has no atoms or that has white space."""
    if not text or any(letter.isspace() for letter in text):  # RDKit takes the rest of the line for a name
        return None
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(text)


def canonical(text: str) -> str:
    """Return the canonical SMILES of a molecule; empty for text that is none."""
    molecule = parse(text)
    return "" if molecule is None else str(Chem.MolToSmiles(molecule))


def drug_likeness(text: str) -> float:
    """Return the quantitative estimate of drug-likeness, from 0 to 1 (Bickerton et al. 2012); 0 for no molecule."""
    molecule = parse(text)
    return 0.0 if molecule is None else float(QED.qed(molecule))


def properties(texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return properties (N,) of valid molecules by name: ``qed``, ``logp`` and ``weight`` in daltons."""
    functions = {"qed": QED.qed, "logp": Crippen.MolLogP, "weight": Descriptors.MolWt}
    molecules = [Chem.MolFromSmiles(text) for text in texts]
    return {name: np.array([f(molecule) for molecule in molecules]) for name, f in functions.items()}


def diversity(texts: Sequence[str]) -> float:
    """Return 1 minus the mean Tanimoto similarity of all pairs of two or more valid molecules (Benhenda 2017).

    Differs from MOSES: a molecule is not compared with itself.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in texts]
    similar = sum(sum(DataStructs.BulkTanimotoSimilarity(each, prints[:n])) for n, each in enumerate(prints))
    return 1 - similar / (len(prints) * (len(prints) - 1) / 2)
