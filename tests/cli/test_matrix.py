"""``ganlm matrix``: which pairs it trains, and which runs it takes for them."""

import json
import tomllib
from pathlib import Path

import pytest

from tests.command_line import refused
from tests.conftest import Ganlm
from tests.guests import HEAD
from tests.sweep.runs import Pretended, pretended

__all__ = ["pretended"]

NETWORKS = """
@hookimpl
def ganlm_components():
    yield ComponentSpec("generator", "lstm", "m:a")
    yield ComponentSpec("generator", "lstm-text", "m:a")
    yield ComponentSpec("discriminator", "text-conv", "m:a")
"""


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


def test_a_generator_of_a_plugin_with_a_taken_name_has_its_own_rows(ganlm: Ganlm, pretended: Pretended) -> None:
    Path("plug.py").write_text(HEAD + NETWORKS)
    code, out, err = ganlm("matrix", "--discs", "conv", "--folder", "m", "--json", "--plugin", "plug.py")
    assert code == 0, err
    names = [record["generator"] for record in json.loads(out)]
    assert len(names) == len(pretended.words) and {"lstm", "lstm-text", "plug.py/lstm"} < set(names)

    command = ["matrix", "--gens", "plug.py/lstm", "--discs", "conv", "--folder", "one", "--plugin", "plug.py"]
    code, out, err = ganlm(*command, "--json")
    assert code == 0, err
    assert [record["generator"] for record in json.loads(out)] == ["plug.py/lstm"]
    config = tomllib.loads(Path("one/plug.py-lstm-conv/config.toml").read_text())
    assert list(config["generator"]) == ["plug.py/lstm"]


def test_pairs_whose_names_are_one_text_have_their_own_folders(ganlm: Ganlm, pretended: Pretended) -> None:
    Path("plug.py").write_text(HEAD + NETWORKS)
    command = ["matrix", "--gens", "lstm,lstm-text", "--discs", "conv,text-conv", "--folder", "m", "--json"]
    code, out, err = ganlm(*command, "--plugin", "plug.py")
    assert code == 0, err
    assert [(record["generator"], record["discriminator"]) for record in json.loads(out)] == [
        ("lstm", "conv"), ("lstm", "text-conv"), ("lstm-text", "conv"), ("lstm-text", "text-conv")
    ]  # fmt: skip
    assert [path.name for path in sorted(Path("m").glob("lstm*"))] == [
        "lstm-conv", "lstm-text-conv", "lstm-text-conv-1", "lstm-text-text-conv"
    ]  # fmt: skip


def test_an_unknown_name_is_refused(ganlm: Ganlm) -> None:
    assert refused(ganlm, "matrix", "--gens", "lstn") == (
        "there is no generator 'lstn'; did you mean 'lstm'? 'ganlm list generator' shows them"
    )
