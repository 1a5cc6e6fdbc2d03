"""``benchmarks/contrast.py`` trains copies of a generator with and without its samples."""

import math

import pytest
import torch

from ganlm_core import load
from ganlm_core.cli import run_command
from ganlm_core.evaluation.sources import open_sources, real_text
from ganlm_core.plugins.host import default_host
from tests.scripts import benchmark

contrast = benchmark("contrast")
BUNDLE = "zoo:lstm.mle-grammar"


def test_a_copy_cannot_tell_real_text_from_samples_before_it_learns() -> None:
    """All logits are zero: each of the two means of the cross-entropy is log 2."""
    model = load(BUNDLE)
    real, _ = model.tokenizer.encode(["the dog sleeps .", "many cats fear a dog ."], model.shape.length)
    assert contrast.contrast(model.generator, model.generator, real).item() == pytest.approx(2 * math.log(2))


def test_both_copies_learn_and_leave_the_generator_as_it_is() -> None:
    host = default_host()
    (source,) = sources = open_sources(host, [BUNDLE])
    before = {name: tensor.clone() for name, tensor in source.model.generator.state_dict().items()}
    training = contrast.Training(steps=2, lr=1e-3, dropout=0.5, batch=8)
    found = list(contrast.copies(source.model, real_text(host, sources), training, seed=0))
    assert [name for name, _, _ in found] == ["on real text", "on real text against samples"]
    weights = [torch.cat([each.flatten() for each in model.generator.parameters()]) for _, model, _ in found]
    own = torch.cat([each.flatten() for each in source.model.generator.parameters()])
    assert not weights[0].equal(weights[1])
    assert all(not each.equal(own) and (each - own).abs().max() < 0.01 for each in weights)
    assert all(tensor.equal(before[name]) for name, tensor in source.model.generator.state_dict().items())


def test_a_generator_without_an_exact_likelihood_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(contrast.main, ["zoo:mlp-conv.one-shot-grammar"], "contrast.py") == 2
    assert capsys.readouterr().err == (
        "ganlm: error: zoo:mlp-conv.one-shot-grammar has no exact likelihoods; give an autoregressive model of the "
        "grammar, without noise\n"
    )
