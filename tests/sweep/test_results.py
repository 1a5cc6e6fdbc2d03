"""The table of a sweep: seeds are repetitions, what differs names the rows, references come once for each text."""

from pathlib import Path

from ganlm_core.evaluation.tables import Number
from ganlm_core.sweep.results import grouped, table
from ganlm_core.training.run_folder import RunFolder
from tests.sweep.runs import finish, sweep


def test_seeds_are_repetitions(tmp_path: Path) -> None:
    found = sweep(tmp_path / "s", seed=[1, 2], **{"gen.layers": [1, 2]})
    values = {"layers1-seed1": 0.4, "layers1-seed2": 0.6, "layers2-seed1": 0.9}
    names = [entry.name for entry in found.entries()]
    assert sorted(names) == ["seed1-layers1", "seed1-layers2", "seed2-layers1", "seed2-layers2"]
    for name in names[:3]:
        value = values["-".join(reversed(name.split("-")))]
        evaluation = {"after": {"distinct": value}, "real": {"distinct": 1.0}, "samples": 20, "temperature": 1.0}
        finish(RunFolder(found.path / name), found.config(name), evaluation)
    assert {title: len(runs) for title, runs in grouped(found).items()} == {"gen.layers 1": 2, "gen.layers 2": 1}
    made = table(found)
    assert made.header == ["", "runs", "distinct", "CPU seconds"]
    one, two, real = made.rows
    assert one[:2] == ["gen.layers 1", "2"] and str(one[2]) == "50 ± 14%"
    assert two[:3] == ["gen.layers 2", "1", Number(0.9, None, 1, share=True)]
    assert real[:3] == ["real text", "", Number(1.0, 0.0, 2, share=True)]
    assert list(made.notes) == [
        "20 sentences of each run at temperature 1.",
        "1 of 4 runs are not finished and are left out.",
    ]
