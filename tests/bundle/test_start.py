"""Configurations that start from bundles: what comes from a bundle, what stays the user's, and what is refused."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.bundle import hub, start, zoo
from ganlm_core.bundle.manifest import CONFIG, read_manifest
from ganlm_core.bundle.start import expand, find, resolve, started
from ganlm_core.config import run_config
from ganlm_core.config.make_config import make_config
from ganlm_core.config.options import StartOptions
from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import OptionError, UnknownName, UsageError, WeightsError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.system.files import write_json
from tests.bundles import edit, seal

ADVERSARIAL, MLE, PARALLEL = (
    "zoo:lstm-conv.autoregressive-grammar",
    "zoo:lstm.mle-grammar",
    "zoo:mlp-conv.one-shot-grammar",
)
HOST = default_host()


def from_(source: object) -> dict[str, Any]:
    return {"start": {"from": str(source)}}


def refused(layers: list[dict[str, Any]], error: type[Exception] = UsageError, host: Host = HOST) -> str:
    with pytest.raises(error) as caught:
        resolve(host, layers)
    return str(caught.value)


def test_networks_tokenizer_and_sizes_come_from_the_bundle_and_the_rest_is_the_users() -> None:
    config = resolve(HOST, [{"recipe": "wgan-gp", "training": {"steps": 7}}, from_(ADVERSARIAL)])
    manifest = read_manifest(zoo.find(ADVERSARIAL.removeprefix("zoo:")) / CONFIG)
    for kind in ("generator", "discriminator"):
        choice, component = getattr(config, kind), manifest.components[kind]
        newer = HOST.spec(kind, component.name).options().as_dict()  # options that the bundle may lack
        assert (choice.name, choice.options.as_dict()) == (component.name, newer | component.options)
    assert config.training.noise_size == manifest.shape["noise"]
    assert config.tokenizer.name == "word"
    assert config.tokenizer.options.as_dict() == {
        "vocabulary": manifest.shape["vocabulary"], "max_length": manifest.shape["length"]
    }  # fmt: skip
    assert (config.recipe, config.loss.name, config.training.steps) == ("wgan-gp", "wasserstein", 7)
    assert config.start.generator == config.start.discriminator == ADVERSARIAL
    assert config.start.generator_sha256 == find(ADVERSARIAL).sha256


def test_the_default_recipe_is_that_of_the_bundles_generator() -> None:
    assert resolve(HOST, [from_(PARALLEL)]).recipe == "one-shot"


def test_a_resolved_configuration_gives_itself_again() -> None:
    config = resolve(HOST, [from_(ADVERSARIAL)])
    layer = run_config.parse_toml(config.to_toml(), "it")
    assert resolve(HOST, [layer]) == config
    assert RunConfig.from_toml(HOST, config.to_toml()) == config
    assert "start" not in resolve(HOST, []).to_dict()


def test_a_bundle_without_a_discriminator_gives_its_generator() -> None:
    config = resolve(HOST, [{"discriminator": {"mlp": {}}}, from_(MLE)])
    assert (config.start.generator, config.start.discriminator) == (MLE, "")
    assert config.discriminator.name == "mlp"
    message = refused([{"start": {"discriminator": MLE}}])
    assert message == f"{MLE} has no discriminator, only a generator; leave out --from-disc, or give another bundle"


def test_one_network_of_a_bundle() -> None:
    config = resolve(HOST, [{"discriminator": {"mlp": {}}}, {"start": {"generator": ADVERSARIAL}}])
    assert config.discriminator.name == "mlp" and config.start.discriminator_sha256 == ""
    config = resolve(HOST, [{"generator": {"transformer": {}}}, {"start": {"discriminator": ADVERSARIAL}}])
    assert config.generator.name == "transformer" and config.start.generator == ""


def test_the_last_layer_that_names_a_bundle_wins() -> None:
    old = run_config.parse_toml(resolve(HOST, [from_(MLE)]).to_toml(), "it")
    layer = {"start": old["start"]}
    assert resolve(HOST, [layer, from_(ADVERSARIAL)]) == resolve(HOST, [from_(ADVERSARIAL)])
    both = resolve(HOST, [from_(ADVERSARIAL), {"start": {"generator": MLE}}, {"training": {"noise_size": 0}}])
    assert (both.start.generator, both.start.discriminator) == (MLE, ADVERSARIAL)


@pytest.mark.parametrize(
    ("layer", "difference"),
    [
        ({"generator": {"conv": {}}}, "generator: lstm -> conv"),
        ({"generator": {"lstm": {"hidden_size": 64}}}, "generator.lstm.hidden_size: 128 -> 64"),
        ({"discriminator": {"conv": {"filters": 8}}}, "discriminator.conv.filters: 64 -> 8"),
        ({"tokenizer": {"char": {}}}, "tokenizer: word -> char"),
        ({"training": {"noise_size": 5}}, "training.noise_size: 32 -> 5"),
    ],
)
def test_other_networks_are_refused_with_the_difference(layer: dict[str, Any], difference: str) -> None:
    assert refused([layer, from_(ADVERSARIAL)]) == (
        f"the run starts from {ADVERSARIAL}, which has other networks than are asked for ({difference}); "
        "leave these options out, or train new networks without --from"
    )


def test_a_vocabulary_that_grows_has_a_limit_of_its_own() -> None:
    larger = {"tokenizer": {"word": {"vocabulary": 500}}}
    assert (
        "(tokenizer.word.vocabulary: 198 -> 500); leave these options out, add --grow-vocabulary, or train"
        in refused([larger, from_(ADVERSARIAL)])
    )
    growing = {"start": {"from": ADVERSARIAL, "grow_vocabulary": True}}
    assert resolve(HOST, [growing]).tokenizer.options.as_dict()["vocabulary"] == 10_000
    limited = resolve(HOST, [growing, larger])
    assert limited.tokenizer.options.as_dict()["vocabulary"] == 500
    assert refused([{"start": {"grow_vocabulary": True}}]) == (
        "--grow-vocabulary is for a run that starts from a bundle; add --from BUNDLE, or leave it out"
    )


def test_a_folder_is_named_by_its_absolute_path(saved: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    assert resolve(host, [from_(saved.name)]).start.generator == str(saved.resolve())


def test_a_changed_bundle_is_refused(copy: Path, host: Host) -> None:
    config = resolve(host, [from_(copy)])
    layer = run_config.parse_toml(config.to_toml(), "it")
    old = config.start.generator_sha256
    edit(copy, "evaluation.json", samples=7)
    message = refused([layer], WeightsError, host)
    assert message == (
        f"{copy.resolve()} has changed since the configuration was made: the SHA-256 of its SHA256SUMS is "
        f"{find(str(copy)).sha256}, and the configuration has {old}; put the old bundle back, or start a new run "
        "with --from"
    )
    assert resolve(host, [layer, from_(copy)]).start.generator_sha256 == find(str(copy)).sha256
    (copy / "tokenizer.json").write_text("{}")
    assert "tokenizer.json was changed or damaged" in refused([from_(copy)], WeightsError, host)


def test_tokenizers_of_two_bundles_that_differ_are_refused(saved: Path, copy: Path, host: Host) -> None:
    two = [{"start": {"generator": str(saved), "discriminator": str(copy)}}]
    assert resolve(host, two).start.discriminator == str(copy.resolve())
    text = (copy / "tokenizer.json").read_text()
    (copy / "tokenizer.json").write_text(text.replace('"dog"', '"dug"'))
    seal(copy)
    message = refused(two, host=host)
    assert re.search(
        r"differ: word and word, 11 and 11 tokens, the first that differ are 'dog' and 'dug'; take", message
    )


def test_values_that_are_no_names_are_refused() -> None:
    assert refused([{"start": "zoo:a"}], OptionError) == "start is 'zoo:a'; wanted a table, [start]"
    assert refused([{"start": {"from": 3}}], OptionError) == "start: from is 3; wanted the name of a bundle in quotes"
    assert "did you mean 'generator'?" in refused([{"start": {"generatr": MLE}}], UnknownName)
    assert "there is no bundle at" in refused([from_("nowhere")], WeightsError)
    assert refused([from_(f"mean:{MLE},{ADVERSARIAL}")]) == (
        f"mean:{MLE},{ADVERSARIAL} is the mean of several bundles, and this needs the files of one; give one of them"
    )


def test_an_empty_name_stands_for_new_networks() -> None:
    assert resolve(HOST, [from_("")]) == resolve(HOST, [])
    assert expand(HOST, [{"start": {"from": ""}}]) == [{}]


def test_a_configuration_of_python_gets_the_networks_of_a_bundle() -> None:
    config = started(HOST, make_config("transformer", "mlp", recipe="mle", steps=9), ADVERSARIAL)
    assert (config.generator.name, config.discriminator.name) == ("lstm", "conv")
    assert (config.recipe, config.training.steps, config.algorithm.name) == ("mle", 9, "mle")
    assert config.start == resolve(HOST, [from_(ADVERSARIAL)]).start
    start.check(HOST, config)


def test_a_configuration_of_python_that_names_no_text_needs_the_text_of_the_bundle(tmp_path: Path) -> None:
    copy = shutil.copytree(zoo.find("lstm.mle-grammar"), tmp_path / "own")
    components = json.loads((copy / CONFIG).read_text())["components"]
    components["corpus"] |= {"name": "file", "options": {"path": "captions.txt"}}
    edit(copy, CONFIG, components=components)
    with pytest.raises(UsageError, match=r"was not trained on 'grammar', the default; name the text: make_config"):
        started(HOST, make_config(recipe="mle"), str(copy))
    assert started(HOST, make_config(data="oracle"), str(copy)).corpus.name == "oracle"
    edit(copy, CONFIG, components={kind: each for kind, each in components.items() if kind != "corpus"})
    assert started(HOST, make_config(data="oracle"), str(copy)).corpus.name == "oracle"


def test_an_ancestor_is_named_without_the_path_of_this_machine(copy: Path, tmp_path: Path) -> None:
    assert find(MLE).ancestor.name == MLE
    assert (find(str(copy)).ancestor.name, find(str(copy)).ancestor.revision) == ("copy", "")
    run = tmp_path / "my-run"
    shutil.copytree(copy, run / "bundle")
    assert find(str(run)).ancestor.name == find(str(run / "bundle")).ancestor.name == "my-run"
    write_json(run / "bundle" / hub.RECORD, {"repository": "ann/poems", "revision": "0" * 40})
    assert str(find(str(run)).ancestor) == f"hf:ann/poems@{'0' * 40}"
    write_json(run / "bundle" / hub.RECORD, {"repository": "a b", "revision": None})
    assert find(str(run)).ancestor.name == "my-run"


def test_a_line_of_descent_has_every_generation(copy: Path) -> None:
    old = {"name": "zoo:x", "revision": "", "sha256": "a" * 64}
    edit(copy, CONFIG, descent={"generator": [old]})
    line = find(str(copy)).line("generator")
    assert [each.name for each in line] == ["copy", "zoo:x"] and line[0].sha256 == find(str(copy)).sha256
    assert [each.name for each in find(str(copy)).line("discriminator")] == ["copy"]
    assert json.loads((copy / CONFIG).read_text())["descent"]["generator"] == [old]


def test_start_options_without_values_are_no_start() -> None:
    assert start.origins(StartOptions()) == {}
