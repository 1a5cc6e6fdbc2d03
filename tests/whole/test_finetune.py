"""Runs that start from a bundle, through the command line and from Python."""

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

import ganlm_core
from ganlm_core.bundle import zoo
from ganlm_core.bundle.start import find
from ganlm_core.bundle.verify import verify
from ganlm_core.cli import main
from ganlm_core.config.make_config import make_config
from ganlm_core.errors import UsageError
from ganlm_core.training.run import Run
from tests.conftest import Ganlm, files_of

SOURCE = "zoo:lstm-conv.autoregressive-grammar"
TINY = ["--corpus.size", "300", "--steps", "6", "--batch-size", "8", "--evaluation-samples", "20", "--device", "cpu"]
EVERY = ["--evaluate-every", "3", "--checkpoint-every", "2", "--log-every", "1"]
ARGUMENTS = ["run", "--from", SOURCE, *TINY, *EVERY]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tuned") / "first"
    assert main([*ARGUMENTS, "--out", str(path)]) == 0
    return path


def test_it_begins_where_the_bundle_ended(tuned: Path) -> None:
    before = json.loads((zoo.find(SOURCE.removeprefix("zoo:")) / "evaluation.json").read_text())["after"]["valid"]
    first = json.loads((tuned / "metrics.jsonl").read_text().splitlines()[0])
    assert abs(first["mle_loss"] - 1.8) < 0.3  # a new generator begins at the entropy of single words, 4 nats
    assert before > 0.9
    verify(tuned / "bundle")


def test_its_configuration_runs_again_as_it_is(tuned: Path, ganlm: Ganlm) -> None:
    text = (tuned / "config.toml").read_text()
    assert tomllib.loads(text)["start"]["generator"] == SOURCE
    assert ganlm("run", "--config", tuned / "config.toml", "--out", "again")[0] == 0
    ours, theirs = files_of(Path("again")), files_of(tuned)
    assert [name for name in theirs if ours[name] != theirs[name]] == []


def test_a_resumed_run_gives_the_same_bytes(tuned: Path, ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    after_step = Run.after_step

    def stop(self: Run, step: int, metrics: dict[str, Tensor]) -> None:
        after_step(self, step, metrics)
        if step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "after_step", stop)
        assert ganlm(*ARGUMENTS, "--out", "cut")[0] != 0
    assert not Path("cut/bundle").exists()
    assert ganlm("run", "--resume", "cut", "--from", SOURCE)[0] == 0
    ours, theirs = files_of(Path("cut")), files_of(tuned)
    assert [name for name in theirs if ours[name] != theirs[name]] == []


def test_a_run_resumes_after_its_bundle_was_moved(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(zoo.find("lstm-conv.autoregressive-grammar"), "friend")

    def interrupt(self: Run) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_finish", interrupt)
        assert ganlm("run", "--from", "friend", *TINY, "--out", "run")[0] == 130
    Path("friend").rename("moved")
    code, _, error = ganlm("run", "--resume", "run")
    assert code == 4 and f"there is no bundle at {Path('friend').resolve()}" in error
    text = Path("run/config.toml").read_text()
    Path("run/config.toml").write_text(text.replace(str(Path("friend").resolve()), str(Path("moved").resolve())))
    assert ganlm("run", "--resume", "run")[0] == 0
    (line,) = json.loads(Path("run/bundle/config.json").read_text())["descent"]["generator"]
    assert line["name"] == "friend"


def test_another_bundle_when_resuming_is_refused(tuned: Path, ganlm: Ganlm) -> None:
    code, _, error = ganlm("run", "--resume", tuned, "--from", "zoo:lstm-conv.seqgan-grammar")
    assert code == 2 and f"start.generator: {SOURCE} -> zoo:lstm-conv.seqgan-grammar" in error


def test_print_config_and_dry_run_show_the_start(ganlm: Ganlm) -> None:
    code, printed, _ = ganlm(*ARGUMENTS, "--print-config")
    assert code == 0 and tomllib.loads(printed)["start"] == {
        "generator": SOURCE, "generator_sha256": find(SOURCE).sha256,
        "discriminator": SOURCE, "discriminator_sha256": find(SOURCE).sha256, "grow_vocabulary": False,
    }  # fmt: skip
    code, planned, _ = ganlm(*ARGUMENTS, "--dry-run")
    assert code == 0 and f'generator = "{SOURCE}"' in planned
    assert not list(Path().iterdir())


def test_options_that_contradict_the_bundle_are_refused(ganlm: Ganlm) -> None:
    for flags, difference in {
        ("--gen", "conv"): "generator: lstm -> conv",
        ("--gen.hidden-size", "64"): "generator.lstm.hidden_size: 128 -> 64",
        ("--tokenizer", "char"): "tokenizer: word -> char",
        ("--noise-size", "0"): "training.noise_size: 32 -> 0",
    }.items():
        code, _, error = ganlm(*ARGUMENTS, *flags)
        assert code == 2 and f"other networks than are asked for ({difference})" in error
    assert ganlm(*ARGUMENTS, "--gen", "lstm", "--gen.hidden-size", "128", "--print-config")[0] == 0
    code, _, error = ganlm("run", "--grow-vocabulary", "--print-config")
    assert code == 2 and "add --from BUNDLE" in error


def test_a_run_without_a_bundle_is_told_how_to_make_one(ganlm: Ganlm) -> None:
    Path("run").mkdir()
    Path("run/config.toml").write_text("")
    code, _, error = ganlm("run", "--from", "run")
    assert code == 4 and "make one: ganlm weights export" in error


def test_every_generation_is_told(tuned: Path, ganlm: Ganlm) -> None:
    words = ["run", "--recipe", "mle", "--from", tuned, *TINY]
    assert ganlm(*words, "--out", "second")[0] == 0
    assert (
        ganlm("run", "--recipe", "discriminator", "--from-gen", "second", "--disc", "mlp", *TINY, "--out", "third")[0]
        == 0
    )
    config = json.loads(Path("third/bundle/config.json").read_text())
    assert set(config["descent"]) == {"generator"}
    assert [each["name"] for each in config["descent"]["generator"]] == ["second", "first", SOURCE]
    assert [each["sha256"] for each in config["descent"]["generator"]] == [
        find(str(source)).sha256 for source in ("second", tuned, SOURCE)
    ]
    assert "discriminator" not in json.loads(Path("second/bundle/config.json").read_text())["descent"]
    assert str(tuned.parent) not in Path("third/bundle/recipe.toml").read_text()
    verify(Path("third/bundle"))


def test_the_discriminator_alone_leaves_the_generator_as_it_was(ganlm: Ganlm) -> None:
    assert ganlm("run", "--recipe", "discriminator", "--from", SOURCE, *TINY, "--out", "alone")[0] == 0
    source = zoo.find(SOURCE.removeprefix("zoo:"))
    same = {}
    for network in ("generator", "discriminator"):
        before, after = (load_file(folder / f"{network}.safetensors") for folder in (source, Path("alone/bundle")))
        same[network] = all(after[name].equal(before[name]) for name in before)
    assert same == {"generator": True, "discriminator": False}


def test_a_plan_varies_the_bundle(ganlm: Ganlm) -> None:
    Path("plan.toml").write_text(
        f'[training]\nsteps = 4\nbatch_size = 8\nevaluation_samples = 20\ndevice = "cpu"\n'
        f'[corpus.grammar]\nsize = 300\n[sweep]\nrecipe = "mle"\nfrom = ["{SOURCE}", "zoo:lstm.mle-grammar"]\n'
    )
    code, _, error = ganlm("sweep", "plan.toml", "--folder", "runs")
    assert code == 0, error
    starts = {tomllib.loads(path.read_text())["start"]["generator"] for path in Path("runs").glob("*/config.toml")}
    assert starts == {SOURCE, "zoo:lstm.mle-grammar"}


def test_from_python(tmp_path: Path) -> None:
    text = tmp_path / "mine.txt"
    text.write_text("".join(f"the okapi {number} sleeps .\n" for number in range(120)))
    config = make_config(data=text, recipe="mle", steps=4, batch_size=8, evaluation_samples=20, device="cpu")
    friend = ganlm_core.load(SOURCE)
    model = ganlm_core.train(config, out=tmp_path / "run", start=friend, grow_vocabulary=True)
    assert model.shape.vocabulary > friend.shape.vocabulary
    assert [each.name for each in model.config.descent["generator"]] == [SOURCE]
    assert "okapi" in ganlm_core.load(tmp_path / "run").tokenizer.to_json()
    again = ganlm_core.train(config, out=tmp_path / "other", start=tmp_path / "run")
    assert [each.name for each in again.config.descent["generator"]] == ["run", SOURCE]
    with pytest.raises(UsageError, match="this model was not loaded from a bundle"):
        ganlm_core.train(config, out=tmp_path / "no", start=replace(friend, source=""))


def test_the_text_is_the_text_of_the_bundle_if_no_other_is_named(
    ganlm: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my.txt").write_text("\n".join(f"line {n % 7} of {n} lines" for n in range(300)))
    assert ganlm("run", "--recipe", "mle", "--data", "my.txt", *TINY[2:], "--out", "first")[0] == 0
    path = str(tmp_path / "my.txt")
    for more, wanted in (
        ([], ("file", {"path": path, "column": "text"})),
        (["--corpus.column", "line"], ("file", {"path": path, "column": "line"})),
        (["--data", "grammar"], ("grammar", {"size": 20000})),
    ):
        code, out, err = ganlm("run", "--from", "first", *more, "--print-config")
        assert code == 0, err
        ((name, options),) = tomllib.loads(out)["corpus"].items()
        assert (name, {key: options[key] for key in wanted[1]}) == wanted
    shutil.copytree("first/bundle", "first/before")
    Path("other").mkdir()
    with monkeypatch.context() as patch:
        patch.chdir("other")
        for inside in ("../first/bundle", "../first/before"):
            assert tomllib.loads(ganlm("run", "--from", inside, "--print-config")[1])["corpus"]["file"]["path"] == path
            assert ganlm("sample", inside, "--novel", "-n", 2)[0] == 0
    assert ganlm("weights", "export", "first", "--out", "alone")[0] == 0
    shutil.move("my.txt", "elsewhere.txt")
    code, _, err = ganlm("run", "--from", "alone", "--steps", 6)
    assert (code, "my.txt" in err) == (1, True), err
