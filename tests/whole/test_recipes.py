"""Every recipe: it runs, it accepts other networks or refuses them with a reason, and its losses are golden."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlm_core.algorithms import specs
from ganlm_core.config.run_config import RunConfig, resolve
from ganlm_core.errors import UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.protocol import Batch, Phase
from ganlm_core.training import loop
from ganlm_core.training.setup import Setup, prepare
from tests import golden
from tests.conftest import Ganlm, tiny_config, tiny_recipe

HOST = default_host()
RECIPES = sorted(path.stem for path in specs.ganlm_recipes())
"""The recipes of the core. A plugin with recipes tests its own."""

OTHERS = {
    "generator": ("transformer", "causal-conv", "mlp"),
    "discriminator": ("multi-embedding", "transformer"),
}
"""Networks that no recipe here chooses. The mlp generator writes all positions at once."""

LIKELIHOOD = (
    "{} needs an autoregressive generator, and MLPGenerator writes all positions at once; "
    "choose another with --gen, or train it with --recipe one-shot"
)
ESTIMATOR = (
    "estimator '{}' needs an autoregressive generator, and 'mlp' writes all positions at once; "
    "choose another --gen or another --estimator"
)
NEXT_WORD = (
    "--estimator next-word asks for the cost of every next word, and {} judges whole sequences; choose a language "
    "model as the discriminator, such as --disc lstm-lm, or another --estimator"
)
PER_POSITION = (
    "estimator 'reinforce' needs a logit for every position, and '{}' gives one per sequence; "
    "choose a discriminator that gives one per position, or --estimator.reward sequence"
)
REFUSED = {
    ("autoregressive", "mlp generator"): LIKELIHOOD.format("a maximum likelihood warm-up"),
    ("catgan", "mlp generator"): LIKELIHOOD.format("a maximum likelihood warm-up"),
    ("cooperative", "mlp generator"): LIKELIHOOD.format("a maximum likelihood warm-up"),
    ("cot", "mlp generator"): LIKELIHOOD.format("cot"),
    ("likelihood-ratio", "mlp generator"): ESTIMATOR.format("next-word"),
    ("likelihood-ratio", "multi-embedding discriminator"): NEXT_WORD.format("MultiEmbeddingDiscriminator"),
    ("likelihood-ratio", "transformer discriminator"): NEXT_WORD.format("TransformerDiscriminator"),
    ("maligan", "mlp generator"): ESTIMATOR.format("importance").replace("' needs", "' with these options needs"),
    ("mle", "mlp generator"): LIKELIHOOD.format("mle"),
    ("rankgan", "mlp generator"): ESTIMATOR.format("rollout"),
    ("sentigan", "mlp generator"): ESTIMATOR.format("rollout"),
    ("seqgan", "mlp generator"): ESTIMATOR.format("rollout"),
    ("scratchgan", "multi-embedding discriminator"): PER_POSITION.format("multi-embedding"),
    ("scratchgan", "transformer discriminator"): PER_POSITION.format("transformer"),
}
"""The reason why a recipe refuses a network. Every other pair must run."""

CHOSEN = "if you chose one, it has no effect"

UNUSED = {
    "catgan": [f"algorithm 'catgan' uses no loss or penalty; {CHOSEN}"],
    "sentigan": [f"algorithm 'sentigan' uses no loss or penalty; {CHOSEN}"],
    "cot": [f"algorithm 'cot' uses no discriminator or loss or penalty or estimator; {CHOSEN}"],
    "mle": [f"algorithm 'mle' uses no discriminator or loss or penalty or estimator; {CHOSEN}"],
    "rankgan": [f"algorithm 'rankgan' uses no loss or penalty; {CHOSEN}"],
}
"""The notes that the user of a recipe gets before the start."""


def test_every_recipe_is_valid(ganlm: Ganlm) -> None:
    code, out, _ = ganlm("recipes", "validate")
    assert code == 0
    assert {f"{name}: ok" for name in HOST.recipes()} == set(out.splitlines())


def tiny(recipe: str, **networks: str) -> RunConfig:
    """Return a recipe with other networks and small sizes, with one of three steps as warm-up if it has a warm-up."""
    own = resolve(HOST, [{"recipe": recipe}])
    warm = {"warmup": 1 / 3, "discriminator_warmup": 0.0} if getattr(own.algorithm.options, "warmup", 0) else {}
    settings: dict[str, Any] = {
        "steps": 3,
        "noise_size": own.training.noise_size,
        "algorithm_options": warm,
        "corpus_options": {"size": 100},
    }
    return tiny_config(
        networks.get("generator", own.generator.name),
        networks.get("discriminator", own.discriminator.name),
        recipe=recipe,
        **settings,
    )


def train(setup: Setup) -> dict[str, float]:
    """Run the training loop alone and return the metrics of all steps."""
    metrics: dict[str, float] = {}

    def after_step(step: int, found: loop.Metrics) -> None:
        metrics.update({name: value.item() for name, value in found.items()})

    setup.trainer.train(0, after_step)
    return metrics


@pytest.mark.parametrize(
    ("recipe", "others"),
    [(recipe, {}) for recipe in RECIPES]
    + [(recipe, {kind: name}) for recipe in RECIPES for kind, names in OTHERS.items() for name in names],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()) or "its own networks",
)
def test_a_recipe_trains_with_other_networks_or_refuses_them(recipe: str, others: dict[str, str]) -> None:
    reason = REFUSED.get((recipe, " ".join(f"{name} {kind}" for kind, name in others.items())))
    if reason:
        with pytest.raises(UsageError) as caught:
            prepare(tiny(recipe, **others), HOST)
        assert str(caught.value) == reason
        return
    setup = prepare(tiny(recipe, **others), HOST)
    assert {note for note in setup.notes if CHOSEN in note} == set(UNUSED.get(recipe, ()))
    networks, frozen = setup.trainer.algorithm.networks, setup.trainer.algorithm.frozen
    before = {name: [p.detach().clone() for p in network.parameters()] for name, network in networks.items()}
    metrics = train(setup)
    assert all(torch.tensor(value).isfinite() for value in metrics.values()), metrics
    for name, network in networks.items():
        moved = [not old.equal(new) for old, new in zip(before[name], network.parameters(), strict=True)]
        assert any(moved) == (name not in frozen), f"the {name} did not change, or a frozen one did"
        assert all(parameter.isfinite().all() for parameter in network.parameters())


DROPPING = [name for name in RECIPES if "dropout" in dir(resolve(HOST, [{"recipe": name}]).generator.options)]


@pytest.mark.parametrize("recipe", DROPPING)
def test_only_likelihood_and_relaxed_samples_have_the_dropout_of_the_generator(recipe: str) -> None:
    """Other phases draw from the generator, or compare with it: it is the one that is evaluated and saved."""
    setup = prepare(tiny_recipe(recipe, "cpu", generator_options={"dropout": 0.3}), HOST)
    current, dropping = [""], set()

    def note(layer: nn.Module, inputs: object) -> None:
        if layer.training:
            dropping.add(current[0])

    for layer in setup.parts.generator.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd):
            layer.register_forward_pre_hook(note)

    def named(phase: Phase) -> Phase:
        def loss(batch: Batch) -> Tensor:
            current[0] = phase.name
            return phase.loss(batch)

        return replace(phase, loss=loss)

    replace(setup.trainer, compiled=named).train(0, lambda step, metrics: None)
    assert dropping <= ({"mle", "generator", "discriminator"} if setup.parts.estimator.relaxes else {"mle"})


GOLDEN = json.loads(golden.FILE.read_text())


def test_every_recipe_has_golden_losses() -> None:
    assert GOLDEN.keys() == HOST.recipes().keys(), "make them again: python -m tests.golden"


@pytest.mark.parametrize("recipe", GOLDEN)
def test_the_losses_of_three_steps_agree_with_the_golden_losses(recipe: str, ganlm: Ganlm, tmp_path: Path) -> None:
    """The tolerance is 0.1%: other processors sum floats in another order, and two Adam updates amplify that."""
    found = golden.losses(recipe, tmp_path / "run", lambda arguments: ganlm(*arguments)[0])
    assert [step.keys() for step in found] == [step.keys() for step in GOLDEN[recipe]]
    for step, expected in zip(found, GOLDEN[recipe], strict=True):
        assert step == pytest.approx(expected, rel=1e-3, abs=1e-4)
