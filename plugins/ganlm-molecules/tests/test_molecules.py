"""Molecules: the corpus, metrics against values by hand and RDKit, rewards, pictures, and what a missing RDKit says."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REASON = "RDKit is not installed: pip install 'ganlm[molecules]'"
Chem = pytest.importorskip("rdkit.Chem", reason=REASON)

from ganlm_molecules import chemistry, ganlm_components, ganlm_pictures  # noqa: E402
from ganlm_molecules.corpus import molecules_corpus  # noqa: E402
from ganlm_molecules.known import KNOWN  # noqa: E402
from ganlm_molecules.metrics import MoleculeProperties, Molecules, distance, looks_like_smiles  # noqa: E402
from ganlm_molecules.options import MoleculesOptions  # noqa: E402
from ganlm_molecules.rewards import DrugLikeness, ValidSmiles  # noqa: E402

from ganlm_core.cli import main  # noqa: E402
from ganlm_core.components import NoOptions, RewardOptions  # noqa: E402
from ganlm_core.data.corpus import Corpus  # noqa: E402
from ganlm_core.errors import PluginError  # noqa: E402
from ganlm_core.metrics.metric import Conditions, Subject  # noqa: E402
from ganlm_core.testing import Case, parametrize_with_checks  # noqa: E402

SMALL = MoleculesOptions(size=300)
RUN = ["run", "--data", "molecules", "--tokenizer", "smiles", "--corpus.size", "300", "--steps", "4", "--batch-size",
       "8", "--evaluation-samples", "20", "--gen.hidden-size", "8", "--disc.filters", "4", "--recipe",
       "autoregressive"]  # fmt: skip


@parametrize_with_checks([(each, {"size": 300}) if each.kind == "corpus" else each for each in ganlm_components()])
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return molecules_corpus(SMALL)


def test_every_known_molecule_is_one_without_stereochemistry() -> None:
    for name, text in KNOWN.items():
        assert chemistry.parse(text) is not None, name
        assert not set(text) & set("@/\\"), name


def test_every_molecule_of_the_corpus_is_canonical_and_within_bounds(corpus: Corpus) -> None:
    texts = [*corpus.train, *corpus.validation, *corpus.test]
    assert 200 < len(set(texts)) < len(texts) == 300
    for text in texts:
        assert chemistry.canonical(text) == text and "*" not in text
        assert 8 <= Chem.MolFromSmiles(text).GetNumAtoms() <= SMALL.largest


def test_molecules_are_recombined_and_not_copied(corpus: Corpus) -> None:
    known = set(map(chemistry.canonical, KNOWN.values()))
    assert len(known & set(corpus.train)) < 0.05 * len(corpus.train)


def test_another_seed_makes_other_molecules(corpus: Corpus) -> None:
    other = molecules_corpus(MoleculesOptions(size=300, seed=1))
    assert other.train != corpus.train


def test_what_is_no_molecule() -> None:
    for text in ("", "C1CC", "the dog", "C C", "CC name", "C(=O)(=O)(=O)O", "C\tC"):
        assert chemistry.parse(text) is None, text
    assert chemistry.canonical("OC") == chemistry.canonical("CO") == "CO"


def conditions(*train: str) -> Conditions:
    return Conditions(Corpus("molecules", train, train, ("CCO", "c1ccccc1O")))


def test_the_metrics_of_a_few_molecules() -> None:
    texts = ["CO", "OC", "CC", "c1ccccc1", "C1CC"]
    found = Molecules(NoOptions())(Subject(texts), conditions("CO", "CN")).values
    assert found["smiles_valid"] == 4 / 5
    assert found["smiles_unique"] == 3 / 4
    assert found["smiles_novel"] == 2 / 3
    assert 0.5 < found["internal_diversity"] <= 1


def test_the_novelty_of_real_text_is_that_of_held_out_text() -> None:
    subject = Subject(["CO"], held_out=["CCO", "CO"])
    assert Molecules(NoOptions())(subject, conditions("CO")).values["smiles_novel"] == 1 / 2
    subject = Subject(["CO"], held_out=["CCO", "CO", "no molecule", "none either"])
    assert Molecules(NoOptions())(subject, conditions("CO")).values["smiles_novel"] == 1 / 2


def test_text_that_is_not_canonical_has_no_novelty() -> None:
    found = Molecules(NoOptions())(Subject(["CO", "CC"]), conditions("OC", "CN"))
    assert "smiles_novel" not in found.values and found.values["smiles_valid"] == 1
    assert "no novelty: the training text has SMILES that are not canonical" in found.protocol


def test_a_title_above_the_molecules_changes_nothing() -> None:
    found = Molecules(NoOptions())(Subject(["CO"]), conditions("smiles", *["CO", "CN"] * 10))
    assert found.values["smiles_novel"] == 0
    assert not Molecules(NoOptions())(Subject(["CO"]), conditions(*["a title", "CO"] * 10)).values


def test_alike_molecules_have_no_diversity() -> None:
    assert chemistry.diversity(["CCO", "CCO"]) == 0
    assert chemistry.diversity(["CCO", "CCO", "c1ccccc1"]) == pytest.approx(2 / 3, abs=0.1)


def test_texts_without_a_molecule_have_no_other_value() -> None:
    found = Molecules(NoOptions())(Subject(["C1", "x"]), conditions("CO"))
    assert found.values == {"smiles_valid": 0}
    assert MoleculeProperties(NoOptions())(Subject(["C1"]), conditions("CO")).values == {}


def test_other_text_is_not_measured() -> None:
    for train in (["the dog sleeps"], ["Password1"], ["CO", "x"]):
        assert not looks_like_smiles(conditions(*train))
        assert Molecules(NoOptions())(Subject(["CO"]), conditions(*train)).values == {}


def test_the_properties_of_real_text_have_no_distance_to_themselves() -> None:
    found = MoleculeProperties(NoOptions())(Subject(["CCO", "c1ccccc1O"]), conditions("CO")).values
    assert found["logp_distance"] == found["weight_distance"] == 0
    assert 0 < found["qed"] < 1


def test_the_distance_of_samples() -> None:
    import numpy as np

    assert distance(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 2
    assert distance(np.array([0.0]), np.array([0.0, 4.0])) == 2


def test_the_rewards_by_hand() -> None:
    texts = [KNOWN["aspirin"], "C1CC", ""]
    found = DrugLikeness(RewardOptions())(texts, {})
    assert found[0] == pytest.approx(0.55, abs=0.01) and found[1:] == [0, 0]  # Bickerton et al. 2012, table S1
    assert ValidSmiles(RewardOptions())(texts, {}) == [1, 0, 0]


def test_a_run_has_the_metrics_the_rewards_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*RUN, "--reward", "qed", "--reward", "valid-smiles", "--out", "mine"]) == 0
    out = capsys.readouterr().out
    assert "smiles_valid" in out and "reward.qed" in out
    assert main(["report", "mine"]) == 0
    page = Path("mine/report.html").read_text()
    assert "<h2>Molecules</h2>" in page
    assert main(["sample", "mine", "-n", "3", "--reward", "valid-smiles", "--reward-min", "0"]) == 0


def test_molecules_are_drawn_and_other_text_is_not() -> None:
    smiles: dict[str, Any] = {"tokenizer": {"smiles": {}}}
    picture = ganlm_pictures(smiles, ["CCO", "x", "c1ccccc1"])["Molecules"]
    assert picture.startswith("<svg") and picture.rstrip().endswith("</svg>")
    assert picture == ganlm_pictures(smiles, ["CCO", "x", "c1ccccc1"])["Molecules"]
    assert ganlm_pictures(smiles, ["x"]) == {"Molecules": ""}
    assert ganlm_pictures({"tokenizer": {"word": {}}}, ["CCO"]) == {}


@pytest.fixture
def without_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "rdkit"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("chemistry", "corpus", "rewards", "pictures"):
        monkeypatch.delitem(sys.modules, f"ganlm_molecules.{name}", raising=False)
        monkeypatch.delattr(f"ganlm_molecules.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "rdkit", None)


@pytest.mark.usefixtures("without_rdkit")
def test_without_rdkit_the_components_are_listed_and_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["list", "reward"]) == 0
    assert "qed" in capsys.readouterr().out
    told = "molecules need RDKit: pip install 'ganlm[molecules]'"
    assert main([*RUN, "--out", "mine"]) == 3
    assert told in capsys.readouterr().err
    assert main(["run", "--reward", "qed", "--corpus.size", "300", "--out", "mine"]) == 3
    assert told in capsys.readouterr().err
    found = Molecules(NoOptions())(Subject(["CO"]), conditions("CO"))
    assert (found.values, found.protocol) == ({}, told)
    assert ganlm_pictures({"tokenizer": {"smiles": {}}}, ["CO"]) == {told: ""}
    with pytest.raises(PluginError):
        import ganlm_molecules.rewards  # noqa: F401
