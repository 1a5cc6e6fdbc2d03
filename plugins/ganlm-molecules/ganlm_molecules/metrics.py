"""Metrics of molecules, as in MOSES (Polykovskiy et al. 2020, section 3). They give no value for other text.

RDKit is imported when the text is one of molecules, because runs on other text build these metrics too.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ganlm_core.data.corpus import spread
from ganlm_core.errors import PluginError
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject

LOOKED_AT = 20
"""Sentences of the training text that tell whether it is one of molecules."""

MOSTLY = 0.9
"""The share of them that must look like molecules."""

MOST = 1_000
"""Molecules whose pairs and properties are computed; more are subsampled evenly."""

SMILES = re.compile(r"(\[[^\]\s]+\]|Br|Cl|[BNOSPFICbcnosp()=#+\-/\\.:~@]|%\d\d|\d)+")


class _OfMolecules(Metric):
    """Base of metrics that measure the valid molecules of a subject."""

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if not looks_like_smiles(conditions):
            return Measured()
        try:
            from ganlm_molecules import chemistry
        except PluginError as error:
            return Measured(protocol=str(error))
        valid = [found for found in map(chemistry.canonical, subject.texts) if found]
        return self.measure(subject, valid, conditions)

    def measure(self, subject: Subject, valid: list[str], conditions: Conditions) -> Measured:
        """Return the values of the canonical SMILES ``valid`` of the valid texts."""
        raise NotImplementedError


class Molecules(_OfMolecules):
    """``smiles_valid``: share of texts that are molecules; of these, ``smiles_unique``: share of different ones.

    ``smiles_novel``: share of the different ones that are not in the training text, if that is of canonical SMILES.
    ``internal_diversity``: 1 minus the mean Tanimoto similarity of two of them; 1,000 are compared at most.
    """

    def measure(self, subject: Subject, valid: list[str], conditions: Conditions) -> Measured:
        from ganlm_molecules import chemistry

        values, protocol = {"smiles_valid": len(valid) / len(subject.texts)}, f"{len(subject.texts):,} texts"
        known = [text for text in _looked_at(conditions) if chemistry.canonical(text)]
        different = list(dict.fromkeys(valid))
        unseen = dict.fromkeys(filter(None, map(chemistry.canonical, subject.held_out))) or different
        if valid:
            values["smiles_unique"] = len(different) / len(valid)
            if all(chemistry.canonical(text) == text for text in known):
                values["smiles_novel"] = sum(text not in conditions.known for text in unseen) / len(unseen)
            else:
                protocol += ", no novelty: the training text has SMILES that are not canonical"
        if len(different) > 1:
            values["internal_diversity"] = chemistry.diversity(spread(different, MOST))
        return Measured(values, f"{protocol}, {len(different):,} different molecules")


class MoleculeProperties(_OfMolecules):
    """``qed``: mean drug-likeness. ``logp_distance``, ``weight_distance``: distance of properties to real text.

    The distance is that of Vaserstein 1969 between the values of two sets of molecules, the texts and the test split.
    """

    def measure(self, subject: Subject, valid: list[str], conditions: Conditions) -> Measured:
        from ganlm_molecules import chemistry

        real = [found for found in map(chemistry.canonical, spread(conditions.corpus.test, MOST)) if found]
        if not valid or not real:
            return Measured()
        found, wanted = (chemistry.properties(spread(texts, MOST)) for texts in (valid, real))
        values = {f"{name}_distance": distance(found[name], wanted[name]) for name in ("logp", "weight")}
        protocol = f"{min(len(valid), MOST):,} molecules against {len(real):,} of the test split"
        return Measured({"qed": float(found["qed"].mean()), **values}, protocol)


def looks_like_smiles(conditions: Conditions) -> bool:
    """Return whether most of some training sentences have only letters and signs of SMILES; a title may not."""
    texts = _looked_at(conditions)
    return sum(SMILES.fullmatch(text) is not None for text in texts) >= MOSTLY * len(texts)


def _looked_at(conditions: Conditions) -> Sequence[str]:
    return spread(conditions.corpus.train, LOOKED_AT)


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the distance of two samples (N,), (M,): the area between their distribution functions."""
    both = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(each), both[:-1], side="right") / len(each) for each in (one, other)]
    return float((np.abs(shares[0] - shares[1]) * np.diff(both)).sum())
