"""Problems, remarks and legends of runs."""

from pathlib import Path

from ganlm_core.bundle.manifest import EVALUATION
from ganlm_core.evaluation.remarks import legend, problems, remarks
from ganlm_core.evaluation.scores import REFERENCES
from ganlm_core.system.files import write_json
from ganlm_core.training.run_folder import RunFolder


def finished(path: Path, before: int, after: int) -> RunFolder:
    """Return a run whose warm-up and end have the weights of these steps."""
    run = RunFolder(path)
    for folder, step in ((run.before, before), (run.bundle, after)):
        folder.mkdir()
        write_json(folder / EVALUATION, {"weights_step": step})
    return run


def test_the_problems_of_a_run_are_memorising_collapses_rollbacks_and_its_early_end() -> None:
    records = [
        {"step": 2, "evaluation": {}, "memorised": "10.0% are copies"},
        {"step": 4, "evaluation": {}, "collapse": "samples repeat", "memorised": "50.0% are copies"},
        {"step": 2, "rollback": True, "reason": "it collapsed"},
    ]
    assert list(problems(records, {"stopped": "no evaluation was better"})) == [
        "The generator shows signs of memorising from step 2: 10.0% are copies.",
        "The generator had collapsed at step 4: samples repeat.",
        "Back to step 2: it collapsed.",
        "Stopped: no evaluation was better.",
    ]


def test_weights_of_the_warm_up_are_told(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    results = {"weights_step": 28, "after": {}}
    assert list(remarks(finished(tmp_path / "one", 28, 30), results)) == []
    assert list(remarks(finished(tmp_path / "other", 28, 28), results)) == [
        "these are the weights of the warm-up (step 28): no evaluation of adversarial training was better, so the "
        "results before and after it are equal; --keep last keeps the last weights"
    ]
    assert list(remarks(RunFolder(tmp_path / "none"), results)) == []


def test_copies_are_told_beside_chance(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert list(remarks(run, {"after": {"copied": 0.46}, "copies_by_chance": 0.419})) == [
        "copied: 41.9% of the sentences are expected by chance, because frequent sentences recur; held-out sentences "
        "have no copies, because equal sentences are in one split"
    ]
    assert list(remarks(run, {"after": {"copied": 0.0}, "copies_by_chance": 0.419})) == []
    assert list(remarks(run, {"after": {"copied": 0.46}})) == []


def test_a_discriminator_that_orders_backwards_is_told_beyond_chance(tmp_path: Path) -> None:
    """Two standard errors of the AUC are 0.038 for 1,000 samples and 300 sentences."""
    run, sizes = RunFolder(tmp_path), {"samples": 1_000, "test_sentences": 300}
    assert list(remarks(run, {"after": {"discriminator_auc": 0.46}, **sizes})) == [
        "the discriminator's verdicts are reversed: it prefers the sample in 54.0% of the pairs of a sample and a "
        "held-out sentence, more than chance explains"
    ]
    assert list(remarks(run, {"after": {"discriminator_auc": 0.47}, **sizes})) == []
    assert list(remarks(run, {"after": {"discriminator_auc": 0.7}, **sizes})) == []


def test_a_legend_explains_each_column_and_row_that_is_there() -> None:
    found = legend({"after": {"valid": 0.9, "distinct": 0.8, "mine": 1.0}, "real": {"valid": 1.0}, "samples": 100})
    assert list(found) == ["valid", "distinct", "real text"]
    assert found["distinct"] == "different sentences as a share of all"
    everything = legend({"after": {}} | {key: {"valid": 1.0} for key in REFERENCES})
    assert list(everything) == ["valid", *REFERENCES.values()]
