"""The weights and the tokenizer that a run starts from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganlm_core.bundle.load import load
from ganlm_core.bundle.start import resolve
from ganlm_core.config.run_config import RunConfig, override
from ganlm_core.errors import UsageError, WeightsError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.training.setup import prepare
from tests.bundles import rewrite
from tests.conftest import tiny_config

ADVERSARIAL = "zoo:lstm-conv.autoregressive-grammar"
TRANSFORMER = "zoo:transformer-transformer.autoregressive-grammar"
PARALLEL = "zoo:mlp-conv.one-shot-grammar"
HOST = default_host()
SMALL = {"corpus": {"grammar": {"size": 300}}, "training": {"device": "cpu", "steps": 10, "batch_size": 8}}


def config(source: str, *layers: dict[str, Any], host: Host = HOST) -> RunConfig:
    return resolve(host, [SMALL, {"start": {"from": source}}, *layers])


def expect_equal(one: nn.Module, other: nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        assert tensor.equal(other.state_dict()[name]), name


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    words = ["tapirs", "tapirs okapis", *load(ADVERSARIAL).tokenizer.decode(torch.arange(4, 198).unsqueeze(1))]
    path.write_text("".join(f"the cat loves {word} .\n" for word in words))
    return path


@pytest.mark.parametrize("source", [ADVERSARIAL, PARALLEL])
def test_a_run_starts_with_the_weights_of_the_bundle_and_its_prior(source: str) -> None:
    setup, model = prepare(config(source), HOST), load(source)
    expect_equal(setup.parts.generator, model.generator)
    assert model.discriminator is not None
    expect_equal(setup.parts.discriminator, model.discriminator)
    assert setup.parts.generator.prior.any() and all(each.requires_grad for each in setup.parts.generator.parameters())
    assert (setup.shape, setup.tokenizer.to_json()) == (model.shape, model.tokenizer.to_json())
    assert [each.name for each in setup.start.descent["generator"]] == [source]
    without = prepare(config(source, {"training": {"prior": False}}), HOST)
    expect_equal(without.parts.generator, model.generator)
    assert "--no-prior has no effect: the prior of the generator comes with its weights" in without.notes


def test_one_network_starts_new() -> None:
    layers = {"discriminator": {"mlp": {}}}, {"start": {"from": "", "generator": ADVERSARIAL}}
    setup = prepare(config(ADVERSARIAL, *layers), HOST)
    expect_equal(setup.parts.generator, load(ADVERSARIAL).generator)
    assert set(setup.start.origins) == set(setup.start.to_dict()) == {"generator"}
    new = resolve(HOST, [SMALL, {"generator": {"transformer": {}}}, {"start": {"discriminator": ADVERSARIAL}}])
    setup, model = prepare(new, HOST), load(ADVERSARIAL)
    assert model.discriminator is not None
    expect_equal(setup.parts.discriminator, model.discriminator)
    assert setup.parts.generator.prior.equal(setup.log_frequencies)


def test_a_run_without_a_start_has_none() -> None:
    setup = prepare(tiny_config("lstm", "conv"), HOST)
    assert setup.start.origins == setup.start.to_dict() == {} and setup.start.tokenizer is None


def test_unknown_words_are_counted_and_the_way_out_is_told(text: Path) -> None:
    data = {"corpus": {"file": {"path": str(text)}}}
    setup = prepare(config(ADVERSARIAL, data), HOST)
    (note,) = [note for note in setup.notes if "<unk>" in note]
    assert "of the training split are <unk>; the bundle does not know them: --grow-vocabulary adds them" in note
    assert setup.shape.vocabulary == 198


def test_a_grown_vocabulary_has_the_new_words_last_and_keeps_the_weights_of_the_old(text: Path) -> None:
    data, grow = {"corpus": {"file": {"path": str(text)}}}, {"start": {"grow_vocabulary": True}}
    setup, model = prepare(config(ADVERSARIAL, data, grow), HOST), load(ADVERSARIAL)
    assert setup.shape.vocabulary == 200
    assert setup.tokenizer.decode(torch.tensor([[198, 199, 2]])) == ["tapirs okapis"]
    known = model.tokenizer.encode(["the cat loves bears ."], setup.shape.length)[0]
    assert setup.tokenizer.encode(["the cat loves bears ."], setup.shape.length)[0].equal(known)
    assert not any("<unk>" in note for note in setup.notes)
    noise = torch.randn(1, setup.shape.noise)
    with torch.no_grad():
        old, new = model.generator(noise, known), setup.parts.generator.eval()(noise, known)
    torch.testing.assert_close(new[..., :198], old, atol=1e-5, rtol=1e-5)
    limited = prepare(config(ADVERSARIAL, data, grow, {"tokenizer": {"word": {"vocabulary": 199}}}), HOST)
    assert limited.shape.vocabulary == 199
    assert any("<unk>; raise --tokenizer.vocabulary to keep more" in note for note in limited.notes)


def test_sequences_may_be_longer_if_no_weights_depend_on_the_length() -> None:
    longer = {"tokenizer": {"word": {"max_length": 30}}}
    setup = prepare(config(ADVERSARIAL, longer), HOST)
    assert setup.shape.length == 30
    expect_equal(setup.parts.generator, load(ADVERSARIAL).generator)


def test_longer_sequences_than_positions_exist_are_refused() -> None:
    for source, tensor in (
        (TRANSFORMER, r"positions: \[15, \d+\] -> \[30, \d+\]"),
        (PARALLEL, r"positions.0.bias: .*"),
    ):
        with pytest.raises(UsageError) as caught:
            prepare(config(source, {"tokenizer": {"word": {"max_length": 30}}}), HOST)
        assert f"the generator of {source} has sequences of 15 tokens, and cannot take sequences of 30" in str(
            caught.value
        )
        assert caught.match(tensor) and caught.match("leave out --tokenizer.max-length, or train new networks")


def test_changed_weights_are_refused(copy: Path, host: Host) -> None:
    layer = {"tokenizer": {"word": {"max_length": 6}}}
    prepare(config(str(copy), layer, host=host), host)
    rewrite(copy, "generator.safetensors", lambda tensors: tensors["output.bias"].__setitem__(0, float("nan")))
    with pytest.raises(WeightsError, match=r"output\.bias has values that are not finite"):
        prepare(config(str(copy), layer, host=host), host)
    weights = copy / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match=r"generator\.safetensors was changed or damaged"):
        prepare(config(str(copy), layer, host=host), host)


def test_a_configuration_with_other_networks_than_its_bundle_is_refused() -> None:
    other = override(HOST, config(ADVERSARIAL), [{"generator": {"lstm": {"hidden_size": 8}}}])
    with pytest.raises(UsageError, match=r"generator\.lstm\.hidden_size: 128 -> 8"):
        prepare(other, HOST)


def test_a_frozen_network_has_no_optimiser_and_a_random_one_is_told() -> None:
    alone = {"recipe": "discriminator"}
    setup = prepare(config(ADVERSARIAL, alone, {"training": {"keep": "best"}}), HOST)
    assert set(setup.trainer.optimizers) == {"discriminator"} and setup.best is None
    assert not any("does not train" in note for note in setup.notes)
    new = prepare(resolve(HOST, [SMALL, alone]), HOST)
    assert (
        "algorithm 'discriminator' does not train the generator, which is new and random; "
        "--from-gen BUNDLE takes a trained one"
    ) in new.notes


def test_a_text_with_other_labels_than_the_bundle_is_refused() -> None:
    start = prepare(config(ADVERSARIAL), HOST).start
    start.check_labels(())
    with pytest.raises(UsageError) as caught:
        start.check_labels(("bad", "good"))
    assert str(caught.value) == (
        f"{ADVERSARIAL} has no labels, and the text has the labels ['bad', 'good']; leave out --corpus.label, "
        "or train new networks without --from"
    )
