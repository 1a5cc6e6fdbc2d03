"""Molecules for ganlm: a corpus, metrics, rewards and pictures. RDKit does the chemistry."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganlm_core.components import ComponentSpec, Measure, RewardOptions
from ganlm_core.errors import PluginError
from ganlm_core.hookspecs import hookimpl
from ganlm_molecules.options import MoleculesOptions

MOSES = "Polykovskiy et al. 2020, section 3"
NOT_ENGLISH = {"check_values": "it measures molecules, and the sentences of the check are English"}


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield ComponentSpec(
        "corpus",
        "molecules",
        "ganlm_molecules.corpus:molecules_corpus",
        MoleculesOptions,
        "fragments of common molecules, put together anew; for --tokenizer smiles; pip install 'ganlm[molecules]'",
        "Degen et al. 2008",
    )
    yield ComponentSpec(
        "metric",
        "molecules",
        "ganlm_molecules.metrics:Molecules",
        summary="valid, different and novel molecules, and their diversity; pip install 'ganlm[molecules]'",
        source=MOSES,
        measures=(
            Measure("smiles_valid", "valid SMILES", "higher", "quality", share=True),
            Measure("smiles_unique", "unique", "higher", "diversity", share=True),
            Measure("smiles_novel", "novel", "higher", "diversity", share=True),
            Measure("internal_diversity", "int. diversity", "higher", "diversity"),
        ),
        exceptions=NOT_ENGLISH,
    )
    yield ComponentSpec(
        "metric",
        "molecule-properties",
        "ganlm_molecules.metrics:MoleculeProperties",
        summary="drug-likeness, and distances of logP and weight to real molecules; pip install 'ganlm[molecules]'",
        source=MOSES,
        measures=(
            Measure("qed", "QED", "higher", "quality"),
            Measure("logp_distance", "logP distance", "lower", "both"),
            Measure("weight_distance", "weight distance", "lower", "both"),
        ),
        when="eval",
        exceptions=NOT_ENGLISH,
    )
    yield ComponentSpec(
        "reward",
        "qed",
        "ganlm_molecules.rewards:DrugLikeness",
        RewardOptions,
        "drug-likeness of a molecule; pip install 'ganlm[molecules]'",
        "Bickerton et al. 2012",
    )
    yield ComponentSpec(
        "reward",
        "valid-smiles",
        "ganlm_molecules.rewards:ValidSmiles",
        RewardOptions,
        "1 for a molecule, else 0; pip install 'ganlm[molecules]'",
    )


@hookimpl
def ganlm_pictures(config: Mapping[str, Any], samples: list[str]) -> dict[str, str]:
    """Draw the samples of a run on molecules."""
    if "smiles" not in config["tokenizer"]:
        return {}
    try:
        from ganlm_molecules.pictures import grid
    except PluginError as error:
        return {str(error): ""}
    return {"Molecules": grid(samples)}
