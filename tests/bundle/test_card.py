"""The model card: what it says, and that nothing in it is read as markup."""

import re
from dataclasses import replace

import huggingface_hub

from ganlm_core.bundle.card import evaluation_table, render
from ganlm_core.bundle.manifest import Component, Manifest, manifest_of
from ganlm_core.bundle.save import save
from ganlm_core.config.run_config import override

HOSTILE = (
    "<script>alert(1)</script> [x](http://evil) **b** `c` | ![i](j) \x1b[31m \u202eabc\n# more\r\n"
    "<!-- &amp; www.evil.com"
)


def test_a_card_has_a_header_a_table_and_how_to_use_the_bundle(saved):
    card = (saved / "README.md").read_text()
    assert card.startswith('---\nlibrary_name: ganlm\npipeline_tag: text-generation\nmodel_name: "lstm on grammar"\n')
    assert (
        "| | before | after |\n|---|---|---|\n| nll | 12.50 | inf |\n| distinct | 50.0% | - |\n\nsamples 100, seed 0.\n"
        in card
    )
    assert "pip install ganlm ganlm-lstm\n" in card
    assert "ganlm run --config recipe.toml" in card


def test_a_card_names_the_method_by_what_differs_from_the_recipe(parts, host, tmp_path):
    config = override(host, parts["config"], [{"loss": {"hinge": {}}, "algorithm": {"mle": {}}}])
    card = (save(tmp_path / "bundle", **parts | {"config": config}) / "README.md").read_text()
    assert "trained by autoregressive with algorithm mle, loss hinge. It writes" in card


def hostile_card(parts, host):
    manifest = manifest_of(parts["config"], {"vocabulary": 11, "length": 6, "noise": 3}, ("generator",), host)
    generator = replace(manifest.components["generator"], name=HOSTILE, version=HOSTILE, options={HOSTILE: HOSTILE})
    corpus = dict.fromkeys(("name", "train", "validation", "test"), HOSTILE)
    labels = {"labels": (HOSTILE, "b"), "label_counts": (1, 1)}
    manifest = replace(manifest, components=manifest.components | {"generator": generator}, corpus=corpus, **labels)
    return render(manifest, HOSTILE, {HOSTILE: {HOSTILE: 1.0}, "note": HOSTILE}, [HOSTILE], {"generator": 1})


def test_text_of_plugins_and_corpora_is_escaped(parts, host):
    card = hostile_card(parts, host)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", card)
    body = card.split("---\n", 2)[2]
    body = "".join(line for line in body.splitlines(keepends=True) if not line.startswith("    "))
    for markup in ("<script", "<!--", "](http", "**b", "`c`", "![i", "http://", "www.evil", "&amp;"):
        assert not re.search(rf"(?<!\\){re.escape(markup)}", body.replace("```", "")), markup
    assert [line for line in body.splitlines() if line.startswith("# ")] == [body.splitlines()[1]]
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert {line.count("|") - line.count(r"\|") for line in rows} == {5, 3}, "the tables keep their columns"


def test_the_header_stays_a_header(parts, host):
    data = huggingface_hub.ModelCard(hostile_card(parts, host)).data.to_dict()
    assert data["model_name"].startswith("<script>alert(1)</script> [x](http://evil)")
    assert data["library_name"] == "ganlm" and data["tags"] == ["ganlm", "gan", "text-generation"]


def test_ordinary_names_are_not_changed(parts, host, tmp_path):
    config = override(host, parts["config"], [{"loss": {"non-saturating": {}}}])
    card = (save(tmp_path / "bundle", **parts | {"config": config}) / "README.md").read_text()
    assert "\\" not in card and "| non-saturating |" in card and "hidden_size 8" in card


def test_a_table_has_a_dash_for_what_is_missing():
    columns, rows = evaluation_table({"before": {"nll": 2.5}, "after": {"nll": 1.25, "valid": 0.5}, "samples": 100})
    assert columns == ["before", "after"]
    assert rows == [["nll", "2.50", "1.25"], ["valid", "-", "50.0%"]]


def test_a_card_without_evaluation_or_discriminator():
    component = Component("g", {}, "mine.py", "", 1)
    manifest = Manifest({"generator": component, "corpus": replace(component, name="c")}, ("generator",),
                        {"vocabulary": 5, "length": 3, "noise": 0}, "0.1.0")  # fmt: skip
    card = render(manifest, "mle", {}, [], {"generator": 1234})
    assert "# g on c\n" in card and "Not evaluated.\n" in card and "The generator has 1,234 parameters.\n" in card
    assert "pip install ganlm\n" in card, "a file cannot be installed with pip"
    assert "model.score" not in card


def test_a_card_says_what_the_weights_were_trained_from(parts, saved, host, tmp_path):
    card = (saved / "README.md").read_text()
    table = "| network | trained from | revision | SHA-256 of its SHA256SUMS |\n|---|---|---|---|\n"
    first = f"| generator | hf:ann/poems | {'e' * 40} | {'d' * 64} |\n"
    assert f"{table}{first}| generator | zoo:old |  | {'f' * 64} |\n\n## Samples\n" in card
    assert "and names the bundle that it starts from, which it needs; this trains it again" in card
    new = (save(tmp_path / "new", **parts | {"descent": {}}) / "README.md").read_text()
    assert "## Descent" not in new and "is the whole configuration; this trains it again" in new


def test_a_card_names_the_labels_and_how_to_ask_for_one(parts, saved, tmp_path, host):
    manifest = manifest_of(
        parts["config"], {"vocabulary": 11, "length": 6, "noise": 3}, ("generator", "discriminator"), host
    )
    labelled = replace(manifest, labels=("good", "bad"), label_counts=(2, 1))
    card = render(labelled, "mle", {}, [], {"generator": 1})
    assert "\nIt writes text of a label: good, bad.\n\n| component |" in card
    assert "\nganlm sample . -n 10 --label NAME  # one of the labels above\n" in card and "model.score" not in card
    plain = render(manifest, "mle", {}, [], {"generator": 1})
    assert "text of a label" not in plain and "--label" not in plain and "model.score" in plain
