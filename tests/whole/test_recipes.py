"""Every recipe: it can be run, it takes other parts or says why not, and its losses are what they were."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlm_core.config.run_config import RunConfig, resolve
from ganlm_core.errors import UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.training import loop
from ganlm_core.training.setup import Setup, prepare
from tests import golden
from tests.conftest import ROOT, Ganlm, tiny_config

HOST = default_host()
RECIPES = sorted(path.stem for path in (ROOT / "ganlm_core" / "recipes").glob("*.toml"))
"""Those of the core; a plugin that brings recipes tests with what they go together."""

OTHERS = {
    "generator": ("transformer", "causal-conv", "mlp"),
    "discriminator": ("multi-embedding", "transformer"),
}
"""Parts that no recipe here chooses itself. The mlp writes all positions at once."""

LIKELIHOOD = (
    "{} needs an autoregressive generator, and MLPGenerator writes all positions at once; "
    "choose another with --gen, or train it with --recipe one-shot"
)
ESTIMATOR = (
    "estimator '{}' needs an autoregressive generator, and 'mlp' writes all positions at once; "
    "choose another --gen or another --estimator"
)
PER_POSITION = (
    "estimator 'reinforce' wants a logit for every position, and '{}' gives one per sequence; "
    "choose a discriminator that gives them, or another reward"
)
REFUSED = {
    ("autoregressive", "mlp generator"): LIKELIHOOD.format("a maximum likelihood warm-up"),
    ("cooperative", "mlp generator"): LIKELIHOOD.format("a maximum likelihood warm-up"),
    ("cot", "mlp generator"): LIKELIHOOD.format("cot"),
    ("maligan", "mlp generator"): ESTIMATOR.format("importance"),
    ("mle", "mlp generator"): LIKELIHOOD.format("mle"),
    ("rankgan", "mlp generator"): ESTIMATOR.format("rollout"),
    ("seqgan", "mlp generator"): ESTIMATOR.format("rollout"),
    ("scratchgan", "multi-embedding discriminator"): PER_POSITION.format("multi-embedding"),
    ("scratchgan", "transformer discriminator"): PER_POSITION.format("transformer"),
}
"""Why a recipe does not take a part. Everything that is not here must run."""

UNUSED = {
    "cot": ["algorithm 'cot' makes no use of a chosen discriminator or loss or penalty or estimator"],
    "mle": ["algorithm 'mle' makes no use of a chosen discriminator or loss or penalty or estimator"],
    "rankgan": ["algorithm 'rankgan' makes no use of a chosen loss or penalty"],
}
"""What the user of a recipe is told before it starts."""


def test_every_recipe_is_valid(ganlm: Ganlm) -> None:
    code, out, _ = ganlm("recipes", "validate")
    assert code == 0
    assert {f"{name}: ok" for name in HOST.recipes()} == set(out.splitlines())


def tiny(recipe: str, **parts: str) -> RunConfig:
    """A recipe with other parts and small sizes; a warm-up of one step of three, where it has one."""
    own = resolve(HOST, [{"recipe": recipe}])
    warm = {"warmup": 1 / 3, "discriminator_warmup": 0.0} if getattr(own.algorithm.options, "warmup", 0) else {}
    settings: dict[str, Any] = {
        "steps": 3,
        "noise_size": own.training.noise_size,
        "algorithm_options": warm,
        "corpus_options": {"size": 100},
    }
    return tiny_config(
        parts.get("generator", own.generator.name),
        parts.get("discriminator", own.discriminator.name),
        recipe=recipe,
        **settings,
    )


def train(experiment: Setup) -> dict[str, float]:
    """The metrics of all steps, without what a run does around them."""
    metrics: dict[str, float] = {}

    def after_step(step: int, found: loop.Metrics) -> None:
        metrics.update({name: value.item() for name, value in found.items()})

    experiment.trainer.train(0, after_step)
    return metrics


@pytest.mark.parametrize(
    ("recipe", "parts"),
    [(recipe, {}) for recipe in RECIPES]
    + [(recipe, {kind: name}) for recipe in RECIPES for kind, names in OTHERS.items() for name in names],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()) or "its own parts",
)
def test_a_recipe_trains_with_other_parts_or_says_in_a_line_why_not(recipe: str, parts: dict[str, str]) -> None:
    reason = REFUSED.get((recipe, " ".join(f"{name} {kind}" for kind, name in parts.items())))
    if reason:
        with pytest.raises(UsageError) as caught:
            prepare(tiny(recipe, **parts), HOST)
        assert str(caught.value) == reason
        return
    experiment = prepare(tiny(recipe, **parts), HOST)
    assert {note for note in experiment.notes if "no use" in note} == set(UNUSED.get(recipe, ()))
    networks = experiment.trainer.algorithm.networks
    before = {name: [p.detach().clone() for p in network.parameters()] for name, network in networks.items()}
    metrics = train(experiment)
    assert all(torch.tensor(value).isfinite() for value in metrics.values()), metrics
    for name, network in networks.items():
        moved = [not old.equal(new) for old, new in zip(before[name], network.parameters(), strict=True)]
        assert any(moved), f"the {name} has learned nothing"
        assert all(parameter.isfinite().all() for parameter in network.parameters())


GOLDEN = json.loads(golden.FILE.read_text())


def test_every_recipe_has_golden_losses() -> None:
    assert GOLDEN.keys() == HOST.recipes().keys(), "write them anew: python -m tests.golden"


@pytest.mark.parametrize("recipe", GOLDEN)
def test_the_losses_of_three_steps_are_what_they_were(recipe: str, ganlm: Ganlm, tmp_path: Path) -> None:
    """To one in a thousand: another processor adds floats in another order, and two updates by Adam multiply that."""
    found = golden.losses(recipe, tmp_path / "run", lambda arguments: ganlm(*arguments)[0])
    assert [step.keys() for step in found] == [step.keys() for step in GOLDEN[recipe]]
    for step, expected in zip(found, GOLDEN[recipe], strict=True):
        assert step == pytest.approx(expected, rel=1e-3, abs=1e-4)
