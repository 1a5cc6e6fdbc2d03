"""The labels of a bundle: by name, drawn by frequency, and beside the texts that a model judges."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import ganlm_core
from ganlm_core.bundle.labels import Labels
from ganlm_core.bundle.model import BATCH, Model
from ganlm_core.errors import OptionError, UnknownName, Unreadable, UsageError
from ganlm_core.serve.writing import Request, words, write
from ganlm_core.training.train import execute
from tests.bundles import edit, refused
from tests.conftest import Ganlm, tiny_config

LABELS = Labels(("bad", "good", "so so"), (10, 60, 30))


def test_a_label_has_a_number_and_an_unknown_one_the_nearest_name() -> None:
    assert [LABELS.number(name) for name in LABELS.names] == [0, 1, 2]
    with pytest.raises(UnknownName) as caught:
        LABELS.number("god")
    assert str(caught.value) == "there is no label 'god'; did you mean 'good'? the bundle has bad, good, so so"
    with pytest.raises(UsageError) as plain:
        Labels((), ()).number("good")
    assert str(plain.value) == (
        "there is no label 'good': this bundle was trained without labels; train one on data with --corpus.label COLUMN"
    )


def test_a_number_is_the_name_of_a_label_too() -> None:
    numbered = Labels(("0", "1"), (1, 1))
    assert [numbered.asked(1, name, 0).item() for name in (0, 1, "1")] == [0, 1, 1]  # type: ignore[union-attr]
    with pytest.raises(UnknownName, match="there is no label 'False'"):
        numbered.asked(1, False, 0)


def test_labels_that_nobody_asked_for_are_drawn_by_their_frequency() -> None:
    drawn = LABELS.asked(10_000, "", 0)
    assert drawn is not None and drawn.equal(LABELS.asked(10_000, "", 0))
    shares = drawn.bincount() / 10_000
    # Five standard deviations of a share of 10,000 draws are at most 0.025.
    assert torch.allclose(shares, torch.tensor([0.1, 0.6, 0.3]), atol=0.025)
    assert str(LABELS) == "bad 10%, good 60%, so so 30%"
    assert LABELS.asked(3, "good", 0).tolist() == [1, 1, 1]  # type: ignore[union-attr]
    assert Labels((), ()).asked(3, "", 0) is None


def test_texts_come_with_their_labels() -> None:
    found = LABELS.of(["good", "bad"], 2)
    assert found is not None and found.tolist() == [1, 0]
    wanted = r"and the texts have none; give labels=\[\.\.\.\], or name a column of labels with --corpus\.label COLUMN$"
    with pytest.raises(UsageError, match=wanted):
        LABELS.of([], 2)
    assert Labels((), ()).of([], 1) is None
    with pytest.raises(UsageError, match="this bundle was trained without labels"):
        Labels((), ()).of(["good"], 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that has learned the labels: the first word alone tells them."""
    folder = tmp_path_factory.mktemp("labels")
    rows = [{"text": f"{['yes', 'no'][n % 2]} {n % 37}", "label": "ab"[n % 2]} for n in range(400)]
    (folder / "text.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options: dict[str, Any] = {
        "corpus": "file",
        "corpus_options": {"path": str(folder / "text.jsonl"), "label": "label"},
    }
    sizes = {"steps": 300, "batch_size": 32, "generator_options": {"hidden_size": 32}, "keep": "last"}
    return ganlm_core.load(
        execute(tiny_config("lstm", "conv", recipe="autoregressive", **options | sizes), out=folder / "run").path
    )


def test_a_model_writes_what_it_is_asked_for(model: Model) -> None:
    for label, word in (("a", "yes"), ("b", "no")):
        texts = model.sample(200, label=label)
        assert sum(text.startswith(word) for text in texts) > 190
    mixed = model.sample(200)
    assert 50 < sum(text.startswith("yes") for text in mixed) < 150
    assert model.sample(200, label="a", prompt="no")[0].startswith("no")


def test_a_request_of_the_server_has_a_label_too(model: Model) -> None:
    (found,) = write(model, [Request(20, seed=1, label="b")])
    assert found == model.sample(20, seed=1, label="b") != model.sample(20, seed=1, label="a")
    texts = [word.text for word in words(model, Request(label="a", seed=1))]
    assert texts[0] == "yes" == model.sample(1, seed=1, label="a")[0].split()[0]


def test_the_labels_of_a_batch_are_those_that_its_sentences_were_drawn_for(model: Model) -> None:
    labels, tokens = model.batch_labels(3, seed=7), model.batch(3, seed=7)
    assert labels is not None and len(labels) == BATCH
    texts = model.tokenizer.decode(tokens)
    agree = [text.startswith("yes") == (label == 0) for text, label in zip(texts, labels.tolist(), strict=True)]
    assert sum(agree) > 0.95 * BATCH


def test_one_string_is_no_list_of_texts_and_labels_are_one_for_each(model: Model) -> None:
    for judge in (model.score, model.log_prob):
        with pytest.raises(OptionError, match="texts is one string; give a list of strings"):
            judge("yes it is", labels=["a"])
        with pytest.raises(OptionError, match="labels is one string; give a list of strings"):
            judge(["yes it is"], labels="a")
        with pytest.raises(UsageError, match="there are 2 labels for 1 texts; give one for each"):
            judge(["yes it is"], labels=["a", "b"])


def test_likelihoods_are_given_the_label_or_over_all_labels(model: Model) -> None:
    texts = ["yes 3", "no 3"]
    right, wrong = model.log_prob(texts, labels=["a", "b"]), model.log_prob(texts, labels=["b", "a"])
    assert all(one > other + 1 for one, other in zip(right, wrong, strict=True))
    shares = model.labels.shares.log().tolist()
    given = [[model.log_prob([text], labels=[name])[0] for name in ("a", "b")] for text in texts]
    expected = [torch.logsumexp(torch.tensor(each) + torch.tensor(shares), 0).item() for each in given]
    assert model.log_prob(texts) == pytest.approx(expected, abs=1e-4)


def test_a_discriminator_judges_a_text_with_its_label(model: Model) -> None:
    texts, labels = ["yes 3", "no 3"] * 20, ["a", "b"] * 20
    assert model.score(texts, labels=labels) != model.score(texts, labels=labels[::-1])
    assert model.score(texts, batch_size=7, labels=labels) == pytest.approx(model.score(texts, labels=labels), abs=1e-5)
    assert [token for token, _ in model.explain("yes 3", label="a")] == ["yes", "3"]
    with pytest.raises(UsageError):
        model.probability(texts)
    with pytest.raises(UnknownName):
        model.score(["yes 3"], labels=["c"])


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["a"]},
        {"labels": ["a", "a"]},
        {"labels": ["a", "b", "c"]},
        {"labels": ["a", 3]},
        {"labels": ["a", "\x1b[2J"]},
        {"label_counts": [1, 0]},
        {"label_counts": [1, True]},
    ],
)
def test_a_bundle_with_impossible_labels_is_refused(model: Model, tmp_path: Path, changes: dict[str, Any]) -> None:
    import shutil

    from ganlm_core.plugins.host import default_host

    shutil.copytree(Path(model.source) / "bundle", tmp_path / "bundle")
    edit(tmp_path / "bundle", "config.json", **changes)
    assert "has impossible labels: " in refused(tmp_path / "bundle", default_host(), Unreadable)


def test_the_command_line_samples_and_scores_with_labels(model: Model, ganlm: Ganlm, tmp_path: Path) -> None:
    bundle = model.source
    code, out, err = ganlm("sample", bundle, "-n", 5, "--label", "a")
    assert code == 0 and out.splitlines() == model.sample(5, label="a") and err == ""
    _, _, err = ganlm("sample", bundle, "-n", 5)
    assert err.startswith("labels are drawn by their frequency in the training text: a ")
    assert err.endswith("; --label NAME asks for one\n")
    code, _, err = ganlm("sample", bundle, "--label", "A")
    assert code == 2 and "there is no label 'A'; did you mean 'a'? the bundle has a, b" in err
    (tmp_path / "texts.csv").write_text("text,kind\nyes 3,a\nno 4,b\n")
    code, out, _ = ganlm("score", bundle, "texts.csv", "--corpus.label", "kind", "--json")
    assert code == 0
    assert [json.loads(line)["label"] for line in out.splitlines()] == ["a", "b"]
    code, _, err = ganlm("score", bundle, "texts.csv")
    assert code == 2 and "name a column of labels with --corpus.label COLUMN" in err
    code, _, err = ganlm("sample", "zoo:lstm.mle-grammar", "--label", "a")
    assert code == 2 and "this bundle was trained without labels" in err
