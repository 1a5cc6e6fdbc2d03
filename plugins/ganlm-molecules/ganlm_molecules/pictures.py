"""Pictures of molecules as SVG."""

from collections.abc import Sequence

from ganlm_molecules.chemistry import Draw, parse

ACROSS = 4
SIZE = (220, 180)


def grid(texts: Sequence[str]) -> str:
    """Return the molecules among the texts as one ``<svg>`` element; empty if there are none."""
    molecules = [molecule for molecule in map(parse, texts) if molecule is not None]
    if not molecules:
        return ""
    picture = str(Draw.MolsToGridImage(molecules, molsPerRow=ACROSS, subImgSize=SIZE, useSVG=True))
    return picture[picture.index("<svg") :]
