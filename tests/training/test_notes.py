"""The notes on a run before it starts."""

from pathlib import Path
from typing import Any

import pytest

from ganlm_core.training.setup import prepare
from tests.conftest import tiny_config


def test_text_that_a_run_passes_over_often_has_a_note(tmp_path: Path) -> None:
    data = tmp_path / "my.txt"
    data.write_text("".join(f"sentence number {number} .\n" for number in range(200)))
    notes = prepare(tiny_config("lstm", "conv", data=data, corpus_options={}, steps=600)).notes
    (told,) = [note for note in notes if note.startswith("small text: ")]
    assert "epochs would memorise it, so the run evaluates every " in told
    assert told.endswith(
        " steps and keeps the weights with the lowest validation NLL; --keep last keeps the last weights"
    )
    for settings in ({"steps": 6}, {"steps": 600, "keep": "last"}):
        notes = prepare(tiny_config("lstm", "conv", data=data, corpus_options={}, **settings)).notes
        assert not [note for note in notes if note.startswith("small text")]


def test_a_reward_that_is_equal_for_all_first_texts_is_told_of() -> None:
    """The grammar's validity, the default, is 0 for every sentence of the oracle."""
    options = {"size": 200, "vocabulary": 20, "length": 6}

    def told(reward: dict[str, Any]) -> list[str]:
        made = prepare(tiny_config("lstm", "conv", corpus="oracle", corpus_options=options, reward=reward))
        return [note for note in made.notes if note.startswith("reward ")]

    assert told({"validity": {}, "regex": {"pattern": "w1"}}) == [
        "reward 'validity' is 0 for each of the first 100 training texts; if it is so for generated texts too, it "
        "teaches nothing: see 'ganlm show validity' for its options"
    ]
    assert told({"regex": {"pattern": "w1"}}) == []


def test_text_that_is_mostly_single_words_has_a_note(tmp_path: Path) -> None:
    """A list of passwords may have a few with spaces."""
    data, advice = tmp_path / "my.txt", "a single word; --tokenizer char makes a sequence of its characters"
    for with_spaces, told in ((0, f"every sentence is {advice}"), (2, f"99% of the sentences are {advice}"), (40, "")):
        lines = [f"a{number} b c" if number < with_spaces else f"word{number}" for number in range(200)]
        data.write_text("\n".join(lines) + "\n")
        notes = prepare(tiny_config("lstm", "conv", data=data, corpus_options={})).notes
        assert [note for note in notes if note.endswith(advice)] == [told] * bool(told)


def test_few_validation_sentences_are_told_of(tmp_path: Path) -> None:
    data = tmp_path / "my.txt"
    for sentences, told in ((105, True), (400, False)):
        data.write_text("".join(f"sentence number {number} .\n" for number in range(sentences)))
        made = prepare(tiny_config("lstm", "conv", data=data, corpus_options={}))
        few = len(made.corpus.validation) < 10
        assert few is told is any("are too few to calibrate the discriminator" in note for note in made.notes)
    made = prepare(tiny_config("lstm", "conv", recipe="mle", data=data, corpus_options={}))
    assert not any("calibrate" in note for note in made.notes)


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        (
            {"keep": "best", "evaluate_every": 6},
            "the only evaluation is after the last step, so --keep best keeps the last weights; lower --evaluate-every",
        ),
        (
            {"patience": 2, "evaluate_every": 50},
            "the only evaluation is after the last step, so --patience has no effect; lower --evaluate-every",
        ),
        ({"reward_weight": 0.3}, "--reward-weight 0.3 has no effect without a --reward"),
        ({"reward": {"length": {"weight": 0}}}, "length: its weight is 0, so nothing is paid"),
    ],
)
def test_options_without_an_effect_are_told(settings: dict[str, Any], note: str) -> None:
    assert note in prepare(tiny_config("lstm", "conv", **settings)).notes
    assert note not in prepare(tiny_config("lstm", "conv", evaluate_every=3, keep="best", patience=2)).notes


@pytest.mark.parametrize(
    ("generator", "settings", "why"),
    [
        ("lstm", {}, "because it reads noise, so 'lstm-lm' compares it with equally likely words; set --noise-size 0"),
        (
            "mlp",
            {"recipe": "one-shot", "noise_size": 0},
            "because it writes all positions at once, so 'lstm-lm' compares it with equally likely words; choose an "
            "autoregressive --gen",
        ),
    ],
)
def test_a_language_model_beside_a_generator_without_a_likelihood_is_told(
    generator: str, settings: dict[str, Any], why: str
) -> None:
    notes = prepare(tiny_config(generator, "lstm-lm", **settings)).notes
    assert f"generator '{generator}' has no exact likelihood, {why}" in notes
