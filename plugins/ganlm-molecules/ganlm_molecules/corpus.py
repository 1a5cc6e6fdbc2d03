"""The corpus ``molecules``: known molecules, taken apart and put together anew by the rules of BRICS.

Degen et al. 2008 name 16 kinds of bonds that chemists can cut and make. RDKit cuts the molecules of
:mod:`ganlm_molecules.known` at these bonds. A new molecule starts with a random fragment; a random fragment of a
fitting kind closes each open bond. RDKit checks each molecule and writes its canonical SMILES. Nothing is downloaded,
and the seed fixes every molecule. Differs from ``BRICS.BRICSBuild`` of RDKit, which lists all combinations in order.
"""

import random
from collections.abc import Iterator
from itertools import islice

from ganlm_core.data.corpus import Corpus, split
from ganlm_molecules.chemistry import BRICS, Chem, canonical
from ganlm_molecules.known import KNOWN
from ganlm_molecules.options import MoleculesOptions

DUMMY = Chem.MolFromSmarts("[#0]")
"""The atom that stands for an open bond; its isotope is the kind of the bond."""

SMALLEST = 8
"""Fewest atoms of a molecule, without hydrogen."""


def molecules_corpus(options: MoleculesOptions) -> Corpus:
    """Return ``options.size`` molecules, drawn independently: likely ones recur."""
    drawn = Recombination(options.largest).draw(random.Random(options.seed))
    return split("molecules", islice(filter(None, drawn), options.size))


class Recombination:
    """Draws molecules of at most ``largest`` atoms."""

    def __init__(self, largest: int) -> None:
        self.largest = largest
        cut = set[str]()
        for text in KNOWN.values():
            cut |= BRICS.BRICSDecompose(Chem.MolFromSmiles(text))
        self.fragments = [each for each in map(Chem.MolFromSmiles, sorted(cut)) if _open(each)]
        ends = [(each, site) for each in self.fragments for site in _open(each)]
        rules = [(rule[0].rstrip("ab"), rule[1].rstrip("ab")) for group in BRICS.reactionDefs for rule in group]
        fitting = [{int(one), int(other)} for one, other in rules]
        self.partners = {kind: [end for end in ends if {kind, _kind(*end)} in fitting] for kind in range(1, 17)}
        self.caps = {kind: [end for end in found if len(_open(end[0])) == 1] for kind, found in self.partners.items()}

    def draw(self, rng: random.Random) -> Iterator[str]:
        """Yield canonical SMILES without end; an empty text for an attempt that failed."""
        while True:
            molecule = self._grow(rng.choice(self.fragments), rng)
            yield canonical(Chem.MolToSmiles(molecule, canonical=False)) if molecule is not None else ""

    def _grow(self, molecule: Chem.Mol, rng: random.Random) -> Chem.Mol | None:
        """Close every open bond of a fragment. None if the molecule becomes too small or too large."""
        wanted = rng.randint(SMALLEST, self.largest)
        while sites := _open(molecule):
            if _atoms(molecule) > self.largest:
                return None
            site = rng.choice(sites)
            partners = (self.caps if _atoms(molecule) >= wanted else self.partners)[_kind(molecule, site)]
            if not partners:
                return None
            molecule = _joined(molecule, site, *rng.choice(partners))
        return molecule if SMALLEST <= _atoms(molecule) <= self.largest else None


def _open(molecule: Chem.Mol) -> list[int]:
    """Return the open bonds of a fragment: the indices of its dummy atoms."""
    return [site for (site,) in molecule.GetSubstructMatches(DUMMY)]


def _kind(molecule: Chem.Mol, site: int) -> int:
    return int(molecule.GetAtomWithIdx(site).GetIsotope())


def _atoms(molecule: Chem.Mol) -> int:
    return molecule.GetNumAtoms() - len(_open(molecule))


def _joined(one: Chem.Mol, site: int, other: Chem.Mol, other_site: int) -> Chem.Mol:
    """Return two fragments joined at these dummy atoms."""
    offset = one.GetNumAtoms()
    both = Chem.RWMol(Chem.CombineMols(one, other))
    ends = [both.GetAtomWithIdx(place) for place in (site, other_site + offset)]
    bond = ends[0].GetBonds()[0].GetBondType()
    one_end, other_end = (end.GetNeighbors()[0].GetIdx() for end in ends)
    both.AddBond(one_end, other_end, bond)
    for place in sorted((end.GetIdx() for end in ends), reverse=True):
        both.RemoveAtom(place)
    return both.GetMol()
