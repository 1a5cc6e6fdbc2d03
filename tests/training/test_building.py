"""Data and parts of a run, built or refused in one line."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ganlm_core.config.make_config import make_config
from ganlm_core.errors import OutOfMemory, PluginError, UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import EOS, NEVER, UNK
from ganlm_core.training import building
from ganlm_core.training.setup import prepare
from tests.conftest import tiny_config
from tests.guests import HEAD


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"generator_options": {"hidden_size": 300_000}},
            "there is no memory for a generator of this size; lower --gen.hidden-size (its weights and gradients take ",
        ),
        (
            {"discriminator_options": {"filters": 10**9}},
            "there is no memory for a discriminator of this size; lower --disc.filters (its weights and gradients ",
        ),
        (
            {"discriminator_options": {"widths": "3,1000000000"}},
            "there is no memory for a discriminator of this size; lower --disc.widths (its weights and gradients ",
        ),
    ],
)
def test_a_network_that_no_memory_can_hold_is_refused_before_it_is_built(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(OutOfMemory) as caught:
        prepare(tiny_config("lstm", "conv", **settings))
    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == 1


def test_the_memory_that_is_there_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "memory_of", lambda device: 1000.0)
    with pytest.raises(OutOfMemory, match=r"; lower --tokenizer\.vocabulary \(.* and there are 0\.0 GB\)"):
        prepare(tiny_config("lstm", "conv", generator_options={"hidden_size": 8}))


@pytest.mark.parametrize("layers", [60, 2**63 - 1])
def test_more_tensors_than_a_network_may_have_name_their_option(layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "MOST_TENSORS", 20)
    with pytest.raises(OutOfMemory, match=r"lower --gen\.layers .*take more than any machine has"):
        prepare(tiny_config("lstm", "conv", generator_options={"layers": layers}))


def test_noise_that_no_memory_can_hold_names_its_option() -> None:
    with pytest.raises(OutOfMemory, match="no memory for a generator of this size; lower --noise-size"):
        prepare(tiny_config("lstm", "conv", noise_size=10**12))


def test_a_look_at_the_memory_changes_no_random_number(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = prepare(tiny_config("lstm", "conv"))
    monkeypatch.setattr(building, "_bytes_of", lambda *_: 0)
    blind = prepare(tiny_config("lstm", "conv"))
    for one, other in zip(looked.generator.parameters(), blind.generator.parameters(), strict=True):
        assert one.equal(other)


def test_a_corpus_of_a_plugin_is_checked_before_the_run(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        f"""{HEAD}
from ganlm_core.data.corpus import Corpus

def odd(options):
    return Corpus("odd", "abc", ["a"], ["a"])

@hookimpl
def ganlm_components():
    yield ComponentSpec("corpus", "odd", f"{{__name__}}:odd")
"""
    )
    host = Host.discover([file])
    with pytest.raises(PluginError) as caught:
        building.read_data(host, make_config("lstm", "conv", data="odd", host=host))
    assert str(caught.value) == (
        "corpus 'odd' of odd.py gave a value of type str as its train split; give a list of sentences; "
        f"to check all of it: ganlm plugins check odd --plugin {file}"
    )


def test_a_plan_for_more_steps_than_there_are_is_refused() -> None:
    with pytest.raises(UsageError, match="planned-steps is 7, more than the 6 steps of the run; raise --steps"):
        prepare(tiny_config("lstm", "conv", planned_steps=7))


def test_a_generator_that_never_ends_is_refused_for_text_that_does() -> None:
    made = prepare(tiny_config("lstm", "conv"))
    made.generator.prior[EOS] = NEVER
    data = SimpleNamespace(corpus=made.corpus, tokenizer=made.tokenizer)
    with pytest.raises(
        UsageError, match="fixed-length, so it never ends a sentence; add that option, or start from an"
    ):
        building.rule_out(data, made.generator)  # type: ignore[arg-type]


@pytest.mark.parametrize("positions", [False, True])
def test_a_generator_that_never_writes_unknown_words_is_refused_for_text_that_has_them(positions: bool) -> None:
    made = prepare(tiny_config("lstm", "conv"))
    prior = made.generator.prior
    made.generator.prior = prior.expand(made.shape.length, -1).clone() if positions else prior
    made.generator.prior[..., UNK] = NEVER
    data = SimpleNamespace(corpus=made.corpus, tokenizer=made.tokenizer, tokens=torch.tensor([[5, 6, EOS]]))
    building.rule_out(data, made.generator)  # type: ignore[arg-type]
    data.tokens[0, 1] = UNK
    with pytest.raises(
        UsageError, match="never writes one, and the training text has some; add --grow-vocabulary, or start from an"
    ):
        building.rule_out(data, made.generator)  # type: ignore[arg-type]
