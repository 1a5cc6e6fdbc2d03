"""``ganlm matrix``: which pairs it trains, and which runs it takes for them."""

from pathlib import Path

import pytest

from tests.command_line import refused
from tests.conftest import Ganlm


@pytest.mark.parametrize(
    ("given", "flag", "instead"), [(["--gen", "lstm"], "--gen", "--gens"), (["--disc=conv"], "--disc", "--discs")]
)
def test_the_matrix_trains_no_pair_under_the_name_of_another(
    ganlm: Ganlm, tmp_path: Path, given: list[str], flag: str, instead: str
) -> None:
    """The last --gen of a line wins, so that every row would have been of one generator."""
    message = f"ganlm: error: {flag} differs from pair to pair; list the names to use with {instead}\n"
    assert ganlm("matrix", "--steps", 1, *given) == (2, "", message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_the_matrix_takes_no_run_of_other_options_for_the_one_asked_for(
    ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Nor one of options for the defaults; and it says so before it trains anything."""
    started: list[object] = []
    monkeypatch.setattr("ganlm_core.sweep.job.Popen", started.append)
    run = Path("runs/lstm-conv")
    run.mkdir(parents=True)
    chosen = ["--gen", "lstm", "--disc", "conv", "--steps", 4]
    (run / "config.toml").write_text(ganlm("run", *chosen, "--print-config")[1])
    if state == "finished":
        (run / "bundle").mkdir()
    command = ["matrix", "--gens", "mlp,lstm", "--discs", "conv", "--folder", "runs"]
    for options, changes in (
        (["--steps", 9, "--seed", 5], "training.steps: 4 -> 9, training.seed: 0 -> 5"),
        (["--steps", 4, "--gen.layers", 2], "generator.lstm.layers: 1 -> 2"),
        ([], "training.steps: 4 -> 3000"),
    ):
        assert refused(ganlm, *command, *options) == (
            f"the run in runs/lstm-conv has another configuration ({changes}); "
            "choose another folder, or give the options that it was started with"
        )
    assert started == []
