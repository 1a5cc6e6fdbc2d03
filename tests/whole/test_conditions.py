"""Labels and prompts through whole runs: every pair of networks and every recipe, bundles, and the command line."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

import ganlm_core
from ganlm_core.bundle.verify import verify
from ganlm_core.config.run_config import resolve
from ganlm_core.data.corpus import SPLITS, digest, split_of
from ganlm_core.errors import UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.training.train import execute
from tests.conftest import WARM, Ganlm, files_of, tiny_config, tiny_recipe
from tests.whole.test_pairs import COVERING, warmup

HOST = default_host()
NUMBER = {"corpus_options": {"size": 300, "label": "number"}}


@pytest.mark.parametrize(("generator", "discriminator"), COVERING)
def test_every_network_trains_with_labels(generator: str, discriminator: str, tmp_path: Path) -> None:
    config = tiny_config(generator, discriminator, algorithm_options=warmup(generator), steps=3, **NUMBER)
    run = execute(config, out=tmp_path / "run")
    last = run.metrics.steps()[-1]
    assert {"generator_loss", "discriminator_loss"} <= last.keys() and None not in last.values()
    model = ganlm_core.load(run.path)
    assert model.labels.names == ("plural", "singular") and model.shape.labels == 2
    assert len(model.sample(5, label="plural")) == 5
    assert all(map(math.isfinite, model.score(["the dog sleeps .", "dog the the"], labels=["plural", "singular"])))
    assert verify(run.bundle)[-1].detail == "identical"


def write_reviews(path: Path, rows: int = 200) -> Path:
    """Texts of two words or three of six, as prompt and completion; the label is the last word."""
    rng = random.Random(0)
    lines = [
        {
            "prompt": f"{rng.choice('abcdef')} {rng.choice('abcdef')}",
            "completion": f" is {label} {n % 97}",
            "label": label,
        }
        for n, label in enumerate(["good", "bad"] * (rows // 2))
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path


def reviews(path: Path) -> dict[str, Any]:
    return {"corpus": "file", "corpus_options": {"path": str(path), "label": "label"}}


RECIPES = [name for name in HOST.recipes() if name not in ("discriminator",)]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_with_labels_and_prompts(recipe: str, tmp_path: Path) -> None:
    path = write_reviews(tmp_path / "reviews.jsonl")
    noise = resolve(HOST, [{"recipe": recipe}]).training.noise_size
    config = tiny_recipe(recipe, "cpu", **reviews(path), tokenizer_options={"max_length": 20}, noise_size=noise)
    try:
        run = execute(config, out=tmp_path / "run")
    except UsageError as error:
        assert ("reads more than words" if recipe == "leakgan" else "writes all positions at once") in str(error)
        return
    assert None not in run.metrics.steps()[-1].values()
    assert verify(run.bundle)[-1].detail == "identical"
    model = ganlm_core.load(run.path)
    assert all(text.startswith("a b") for text in model.sample(3, label="good", prompt="a b"))


@pytest.mark.parametrize("settings", [{"ema": 0.5}, {"keep": "best", "evaluate_every": 2}, {"estimator": "gumbel"}])
def test_a_run_with_conditions_resumes_with_the_same_bytes(settings: dict[str, Any], tmp_path: Path) -> None:
    path = write_reviews(tmp_path / "reviews.jsonl")
    config = tiny_config("lstm", "lstm", algorithm_options=WARM, **reviews(path), **settings)
    whole = execute(config, out=tmp_path / "whole")
    half = execute(config, out=tmp_path / "half")
    for folder in sorted(half.checkpoints.iterdir())[1:]:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    for file in half.bundle.iterdir():
        file.unlink()
    half.bundle.rmdir()
    execute(config, resume=half.path)
    assert files_of(half.path) == files_of(whole.path)


LABELLED = "text,label\n" + "\n".join(f"a {n} {'xy'[n % 2]},{'xy'[n % 2]}" for n in range(200)) + "\n"
TINY = ["--steps", 2, "--batch-size", 4, "--evaluation-samples", 20, "--device", "cpu"]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (LABELLED, ["--corpus.label", "lable"], "there is no column 'lable' in a.csv; did you mean 'label'?"),
        (
            LABELLED + "b,\n",
            ["--corpus.label", "label"],
            "a.csv, line 202 has no label under 'label'; give every",
        ),
        (LABELLED.replace("x\n", "true\n"), ["--corpus.label", "label"], "has the boolean true as its label"),
        (LABELLED.replace(",y", ",x"), ["--corpus.label", "label"], "a.csv: every row has the label 'x'"),
        (
            "start,text\n" + "\n".join(f"a, b {n}" for n in range(200)),
            ["--corpus.prompt", "start", "--gen", "mlp", "--recipe", "one-shot"],
            "the data have prompts, and generator 'mlp' writes all positions at once, so it cannot continue them",
        ),
        (
            "prompt,completion\n" + "\n".join(f"{'long ' * (n % 9)},end {n}" for n in range(200)),
            ["--tokenizer.max-length", 5],
            "prompts of the train split have 5 tokens or more, and a sequence has 5, so nothing is left to write",
        ),
        ("prompt,completion\n" + "\n".join(f"a{n},b{n}" for n in range(200)), [], "begin completions with a space"),
    ],
)
def test_data_that_no_model_can_learn_from_are_refused_before_training(
    data: str, options: list[Any], message: str, ganlm: Ganlm, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(data)
    code, _, err = ganlm("run", "--data", "a.csv", "--out", "run", *options, *TINY)
    assert code == 2 or code == 1
    assert message in err and not (tmp_path / "run").exists()


@pytest.mark.parametrize("split", [1, 2])
def test_a_long_prompt_in_any_split_is_refused_before_training(split: int, ganlm: Ganlm, tmp_path: Path) -> None:
    long = next(text for n in range(99) if split_of(digest(text := f"far too long for this {n}")) == split)
    prompt, _, last = long.rpartition(" ")
    rows = ["prompt,completion", *(f"a,b {n}" for n in range(200)), f"{prompt}, {last}"]
    (tmp_path / "a.csv").write_text("\n".join(rows).replace(",b", ", b"))
    code, _, err = ganlm("run", "--data", "a.csv", "--tokenizer.max-length", 5, "--out", "run")
    assert code == 1 and not (tmp_path / "run").exists()
    assert (
        f" prompts of the {SPLITS[split]} split have 5 tokens or more, and a sequence has 5, so nothing is left" in err
    )


def test_plain_text_has_no_labels(ganlm: Ganlm, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a b\n" * 200)
    code, _, err = ganlm("run", "--data", "a.txt", "--corpus.label", "label", *TINY)
    assert code != 0 and "a.txt is plain text, which has no columns; --corpus.label is for CSV" in err


def test_an_evaluation_has_rows_of_each_label(ganlm: Ganlm, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LABELLED)
    code, _, err = ganlm("run", "--data", "a.csv", "--corpus.label", "label", "--recipe", "mle", "--out", "run", *TINY)
    assert code == 0 and "a.csv: 2 labels: x " in err
    code, out, _ = ganlm("eval", "run", "--temperatures", "1", "--metrics", "label-accuracy,distinct", "--json")
    rows = {row["title"]: row for row in json.loads(out)["rows"]}
    assert code == 0 and {"run, x", "run, y", "real text, x", "real text, y"} <= rows.keys()
    assert rows["real"]["values"]["label_accuracy"] > 0.9
    (tmp_path / "plain.txt").write_text("\n".join(f"a {n}" for n in range(200)))
    code, _, err = ganlm("eval", "run", "--data", "plain.txt", "--force")
    assert code == 2 and "run writes text of the labels x, y, and plain.txt has no labels" in err


def test_columns_that_are_not_asked_for_change_nothing(tmp_path: Path) -> None:
    """The same texts as lines, and beside a label and other columns: the runs have the same bytes."""
    texts = [f"a {n} {'xy'[n % 2]}" for n in range(200)]
    (tmp_path / "a.txt").write_text("\n".join(texts))
    (tmp_path / "a.csv").write_text(
        "id,text,label\n" + "\n".join(f"{n},{text},{n % 2}" for n, text in enumerate(texts))
    )
    runs = []
    for name in ("a.txt", "a.csv"):
        options = {"corpus": "file", "corpus_options": {"path": str(tmp_path / name)}}
        run = execute(tiny_config("lstm", "conv", algorithm_options=WARM, **options), out=tmp_path / f"run of {name}")
        kept = ("metrics.jsonl", "samples/", "bundle/generator", "bundle/discriminator", "bundle/selftest")
        runs.append({path: data for path, data in files_of(run.path).items() if path.startswith(kept)})
    assert runs[0] == runs[1] and len(runs[0]) >= 5
