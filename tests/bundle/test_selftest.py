"""The self-test: equal numbers, numbers of other arithmetic, other draws, hostile values."""

import json

import pytest
import torch

from ganlm_core.bundle import load, selftest
from ganlm_core.bundle.verify import verify
from ganlm_core.errors import WeightsError
from tests.bundles import edit, write
from tests.environments import ROOT


def test_other_arithmetic_passes_the_selftest(copy, host):
    recorded = json.loads((copy / "selftest.json").read_text())
    edit(copy, "selftest.json", logits=[value + 1e-4 for value in recorded["logits"]], logits_sha256="")
    assert verify(copy, host)[-1].detail == "within 0.001"


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 10**30},
        {"tokens": [[99] * 6] * 4},
        {"tokens": [[1]]},
        {"logits": []},
        {"seed": "x"},
        {"seed": None},
        {"scores": [None] * 4},
    ],
)
def test_hostile_selftest(copy, host, changes):
    edit(copy, "selftest.json", **changes)
    with pytest.raises(WeightsError, match=r"selftest\.json does not fit the networks"):
        verify(copy, host)


def test_the_seed_must_draw_what_it_drew(copy, host):
    model = load.load(copy, host)
    other = selftest.record(model, seed=1)
    edit(copy, "selftest.json", **other | {"seed": 1})
    assert verify(copy, host)[-1].detail == "identical"
    edit(copy, "selftest.json", **other_draws(copy, host))
    with pytest.raises(WeightsError) as caught:
        verify(copy, host)
    assert str(caught.value) == (
        f"{copy}/selftest.json: seed 0 draws other tokens than when saved; use the versions that made the bundle "
        "(ganlm 0.1.0, ganlm-lstm 0.1.0)"
    )


def other_draws(copy, host):
    """Give the self-test the tokens of another seed, with the logits that they have."""
    model = load.load(copy, host)
    noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor(selftest.record(model, seed=1)["tokens"])
    return {"seed": 0, "tokens": tokens.tolist(), **selftest.numbers(model, noise, tokens)}


def test_a_bundle_of_an_older_drawing_is_held_to_its_logits(copy, host):
    """Its draws may be rounded otherwise than ours, so other tokens are no fault; other logits are."""
    recorded = other_draws(copy, host)
    write(copy, "selftest.json", json.dumps(recorded))
    assert verify(copy, host)[-1].detail == "identical"
    recorded["logits"][0] += 0.01
    write(copy, "selftest.json", json.dumps(recorded))
    with pytest.raises(WeightsError, match=r"selftest\.json: the networks give .* when saved; use the versions that"):
        verify(copy, host)


def test_a_bundle_of_a_newer_drawing_is_held_to_its_logits(copy, host):
    edit(copy, "selftest.json", drawing=selftest.DRAWING + 1, **other_draws(copy, host))
    assert verify(copy, host)[-1].detail == "identical"


def test_a_self_test_is_the_same_each_time(saved, host):
    recorded = json.loads((saved / "selftest.json").read_text())
    assert recorded == selftest.record(load.load(saved, host))
    assert recorded["drawing"] == selftest.DRAWING and len(recorded["logits"]) == selftest.VALUES
    assert f"how a seed draws ids: {selftest.DRAWING};" in (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
