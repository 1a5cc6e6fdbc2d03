"""config.json: its keys as docs/bundle.md has them, hostile values, and the names that a bundle may have."""

import json
import re
from dataclasses import replace

import pytest

from ganlm_core.bundle import load, zoo
from ganlm_core.bundle.manifest import (
    CONFIG,
    EVALUATION,
    ROWS,
    Component,
    Manifest,
    manifest_of,
    read_evaluation,
    read_manifest,
)
from ganlm_core.bundle.save import save
from ganlm_core.data.options import TOKENIZERS
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import PluginError, WeightsError
from ganlm_core.evaluation.scores import SUBJECTS
from ganlm_core.plugins.discovery import Origin
from ganlm_core.system.header import read_header
from tests.bundles import TEXTS, change_generator, edit, files_of, refused, seal
from tests.environments import ROOT

TYPES = {"string": str, "integer": int, "number": int | float, "object": dict, "list": list}
"""The types of values, by the first word of the cell in docs/bundle.md."""


def keys_of(folder):
    """Return every key of a bundle's JSON with its value, by its name in docs/bundle.md; rows are those of a run."""
    config, selftest, calibration = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("config", "selftest", "calibration")
    )
    evaluation = json.loads((zoo.find("lstm-conv.autoregressive-grammar") / "evaluation.json").read_text())
    evaluation["test_sentences"] = 1_000  # the zoo is older than this key, which tests/whole/test_run.py finds in a run
    found = config | selftest | calibration | evaluation
    found |= {f"{table}.{key}": value for table in ("shape", "corpus") for key, value in config[table].items()}
    for part in config["components"].values():
        found |= {f"components.KIND.{key}": value for key, value in part.items()}
    found |= {f"descent.NETWORK.{key}": value for key, value in config["descent"]["generator"][0].items()}
    found["descent.NETWORK"] = config["descent"]["generator"]
    for row in filter(lambda value: isinstance(value, dict), evaluation.values()):
        found |= {f"ROW.{key}": value for key, value in row.items()}
    metadata = read_header(folder / "generator.safetensors").metadata
    assert list(metadata) == ["ganlm"]
    return json.loads(metadata["ganlm"]) | found


def test_the_documentation_has_every_key_with_its_type_and_no_other(saved):
    labelled = replace(read_manifest(saved / "config.json"), labels=("a", "b"), label_counts=(2, 1)).to_dict()
    written = keys_of(saved) | {key: list(labelled[key]) for key in ("labels", "label_counts")}
    written["copies_by_chance"] = 0.1  # of a text without an exact process
    page = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\|([^|]+)\|([^|]*)\|", page[page.index("## config.json") : page.index("## Refused bundles")], re.M
    )
    documented = {key: kind for keys, kind in rows for key in re.findall(r"`([^`]+)`", keys)}
    assert documented.keys() == written.keys()
    for key, kind in documented.items():
        assert not kind.strip() or isinstance(written[key], TYPES[kind.split()[0]]), f"{key} is no {kind}"
    for name in files_of(saved):
        assert f"| `{name}` |" in page


def test_the_documentation_says_what_tokenizers_are_made_of():
    page = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    for kind in TOKENIZERS:
        made = json.loads(Tokenizer.train(kind, TEXTS, 300).to_json())
        parts = [
            (made[part] or {"type": "none"})["type"] for part in ("model", "normalizer", "pre_tokenizer", "decoder")
        ]
        assert f"\n| {kind} | {' | '.join(parts)} |\n" in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": "1"}, "format_version is '1'; wanted a value of type int"),
        ({"format_version": True}, "format_version is True; wanted a value of type int"),
        ({"networks": ["discriminator"]}, "has impossible networks or sizes: ['discriminator']"),
        ({"networks": ["generator", "../x"]}, "has impossible networks or sizes: ['generator', '../x']"),
        ({"shape": {"vocabulary": 11, "length": 6}}, "noise is None; wanted a value of type int"),
        ({"components": {}}, "generator is None; wanted a value of type dict"),
        ({"ganlm_version": None}, "ganlm_version is None; wanted a value of type str"),
    ],
)
def test_hostile_config(copy, host, changes, message):
    edit(copy, "config.json", **changes)
    assert message in refused(copy, host)


def test_a_missing_plugin(copy, host_without_lstm):
    assert refused(copy, host_without_lstm, PluginError) == (
        f"{copy}/config.json: the generator 'lstm' is from ganlm-lstm 0.1.0, which is not installed; "
        "if you trust it: pip install ganlm-lstm"
    )


def test_advice_is_never_a_shell_command(copy, host):
    change_generator(copy, distribution="x; rm -rf ~")
    assert refused(copy, host).endswith("'x; rm -rf ~' is not the name of a distribution; do not use it")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": -1}, "hidden-size is -1; -1 is not in the range x>=1; use ganlm-lstm 0.1.0"),
        ({"hidden_size": 9, "embedding_size": 4}, "differs in initial.bias (F32 [16], wanted F32 [18])"),
        ({"hidden_size": 10**7, "embedding_size": 4}, "differs in initial.bias (F32 [16], wanted F32 [20000000])"),
        ({"hidden_size": 2**62, "embedding_size": 4}, "the generator cannot be built with its options"),
    ],
)
def test_options_that_do_not_fit_the_weights(copy, host, options, message):
    change_generator(copy, options=options)
    assert message in refused(copy, host)


def test_a_manifest_is_read_as_it_was_written(saved, parts):
    found = json.loads((saved / CONFIG).read_text())
    manifest = read_manifest(saved / CONFIG)
    assert manifest.to_dict() | {"networks": list(manifest.networks)} == found
    assert manifest.corpus == parts["corpus"]


def test_a_bundle_knows_which_splits_of_a_text_differ(saved, parts):
    manifest = read_manifest(saved / CONFIG)
    digests = {split: parts["corpus"][split] for split in ("train", "validation", "test")}
    assert manifest.changed_splits(digests) == []
    assert manifest.changed_splits(digests | {"test": "0" * 64, "train": "1" * 64}) == ["train", "test"]
    assert manifest.changed_splits({"test": "0" * 64}) == ["test"]
    assert replace(manifest, corpus=None).changed_splits({"test": "0" * 64}) == []


def test_a_bundle_of_an_unknown_text_loads(parts, host, tmp_path):
    """Bundles of older versions have no corpus."""
    folder = save(tmp_path / "bundle", **parts | {"corpus": None})
    assert "corpus" not in json.loads((folder / CONFIG).read_text())
    assert load.load(folder, host).config.corpus is None


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (None, "corpus is None; wanted a value of type dict"),
        ({"name": "a", "train": "b"}, "validation is None; wanted a value of type str"),
        (
            {"name": "a", "train": "A" * 64, "validation": "b" * 64, "test": "c" * 64},
            f"corpus.train is '{'A' * 35}",
        ),
    ],
)
def test_a_corpus_that_is_not_valid(copy, host, corpus, message):
    edit(copy, CONFIG, corpus=corpus)
    assert message in refused(copy, host)


@pytest.mark.parametrize("name", ["ganlm-lstm", "A.b_c", "mein plügin.py", "naïve 模型.py", "x'y.py"])
def test_names_that_a_bundle_may_have(copy, host, name):
    change_generator(copy, distribution=name)
    assert read_manifest(copy / CONFIG).components["generator"].distribution == name


@pytest.mark.parametrize("name", ["", "a b", "../x.py", "a\\b.py", "a\nb.py", "\u202ea.py", "a" * 253 + ".py", "-x"])
def test_names_that_a_bundle_may_not_have(copy, host, name):
    change_generator(copy, distribution=name)
    assert refused(copy, host).endswith("is not the name of a distribution; do not use it")


@pytest.mark.parametrize("key", ["name", "version"])
def test_a_text_that_is_not_fit_for_a_message(copy, host, key):
    for text in ("\x1b[2J", "a\nb", "x" * 256):
        change_generator(copy, **{key: text})
        assert re.search(rf"config\.json: {key} is '.*'; wanted at most 255 printable characters", refused(copy, host))


def test_messages_about_options_and_keys_are_short_and_printable(copy, host):
    change_generator(copy, options={"hidden_size": "\x1b" * 10_000})
    message = refused(copy, host)
    assert message.isprintable() and len(message) < 1000
    components = json.loads((copy / CONFIG).read_text())["components"]
    edit(copy, CONFIG, components=components | {"\0" + "x" * 1000: 1})
    message = refused(copy, host)
    assert message.isprintable() and "\\x00xxx" in message and len(message) < 1000


def test_the_file_of_a_plugin_is_quoted_for_the_shell(copy, host):
    change_generator(copy, distribution="mein plügin.py", version="")
    assert refused(copy, host, PluginError).endswith(
        "is from mein plügin.py, which is not installed; if you trust it: load it with --plugin 'mein plügin.py'"
    )


def test_a_name_that_no_bundle_can_have_is_refused_before_a_run(parts, host, monkeypatch):
    monkeypatch.setattr(host, "origin", lambda kind, name: Origin("a\nb.py", ""))
    with pytest.raises(PluginError) as caught:
        manifest_of(parts["config"], {}, ("generator",), host)
    assert str(caught.value) == ("the generator 'lstm' is from 'a\\nb.py', a name that a bundle cannot have; rename it")


def test_an_origin_is_named_with_its_version():
    component = Component("lstm", {}, "ganlm-lstm", "0.1.0", 1)
    assert str(component.origin) == "ganlm-lstm 0.1.0"
    manifest = Manifest({"generator": component}, ("generator",), {}, "0.1.0")
    assert manifest.to_dict()["components"]["generator"]["distribution"] == "ganlm-lstm"


@pytest.mark.parametrize(
    ("descent", "reason"),
    [
        ([], "descent is []; wanted a value of type dict"),
        ({"generator": {}}, "generator is {}; wanted a value of type list"),
        ({"generator": ["x"]}, "descent is 'x'; wanted a value of type dict"),
        ({"generator": [{"name": "a", "revision": "", "sha256": "1"}]}, "of the descent has the SHA-256 '1'; wanted"),
        ({"generator": [{"name": "a\nb", "revision": "", "sha256": "a" * 64}]}, "name is 'a\\nb'; wanted at most 255"),
        ({"discriminator": [{"name": "a", "sha256": "a" * 64}]}, "revision is None; wanted a value of type str"),
    ],
)
def test_a_descent_of_another_form_is_refused(descent, reason, copy, host):
    edit(copy, CONFIG, descent=descent)
    assert reason in refused(copy, host)


def test_a_bundle_of_an_older_version_has_no_descent(copy, host):
    data = json.loads((copy / CONFIG).read_text())
    del data["descent"]
    (copy / CONFIG).write_text(json.dumps(data))
    seal(copy)
    assert load.load(copy, host).config.descent == {}
    assert "descent" not in read_manifest(copy / CONFIG).to_dict()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"after": {"valid": "all"}}', "after.valid is 'all'; wanted a number"),
        ('{"real": 1}', "real is 1; wanted a value of type dict"),
        ('{"after": {}, "samples": null}', "samples is None; wanted a number"),
        ('{"after": {"a": 1e308}}', "after.a is 1e+308; wanted a number"),
        ('{"weights_step": [1]}', "weights_step is [1]; wanted a number"),
    ],
)
def test_a_word_among_the_numbers_of_an_evaluation_is_refused(text, reason, tmp_path):
    (tmp_path / EVALUATION).write_text(text)
    with pytest.raises(WeightsError) as caught:
        read_evaluation(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/evaluation.json: {reason}")


def test_an_evaluation_may_have_other_keys_and_values_that_were_not_finite(tmp_path):
    (tmp_path / EVALUATION).write_text('{"after": {"test_nll": null}, "samples": 3, "told": {"by": ["a plugin"]}}')
    assert read_evaluation(tmp_path) == {"after": {"test_nll": None}, "samples": 3, "told": {"by": ["a plugin"]}}
    assert set(ROWS) == SUBJECTS.keys()
