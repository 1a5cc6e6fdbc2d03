"""Defaults for small text: which text counts as small, and what changes for it."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ganlm_core.components import Options, option
from ganlm_core.config.make_config import make_config
from ganlm_core.config.run_config import Choice, RunConfig
from ganlm_core.config.small_text import EPOCHS, EVALUATIONS, LARGEST, MOST_EPOCHS, epochs, small_text
from ganlm_core.plugins.host import default_host


def config_of(data: Path | str, **settings: int) -> RunConfig:
    return make_config("lstm", "conv", data=data, host=default_host(), **{"steps": 100, "batch_size": 10} | settings)


def write(path: Path, sentences: int) -> Path:
    path.write_text("a dog sleeps .\n" * sentences)
    return path


def test_a_run_of_small_text_keeps_the_best_weights_and_evaluates_often(tmp_path: Path) -> None:
    config = config_of(write(tmp_path / "few.txt", 40))
    assert (config.training.keep, config.training.evaluate_every) == ("best", EPOCHS * 4)


@pytest.mark.parametrize(("sentences", "small"), [(1000 // MOST_EPOCHS, False), (1000 // MOST_EPOCHS - 1, True)])
def test_text_is_small_if_a_run_has_more_epochs_than_passes(tmp_path: Path, sentences: int, small: bool) -> None:
    config = config_of(write(tmp_path / "some.txt", sentences))
    assert bool(small_text(config)) is small
    assert (epochs(config, sentences) > MOST_EPOCHS) is small


def test_a_long_run_is_evaluated_a_bounded_number_of_times(tmp_path: Path) -> None:
    config = config_of(write(tmp_path / "few.txt", 40), steps=10_000, evaluate_every=10_000)
    assert small_text(config)["training"]["evaluate_every"] == 10_000 // EVALUATIONS


def test_settings_of_the_user_win(tmp_path: Path) -> None:
    config = config_of(write(tmp_path / "few.txt", 40), evaluate_every=7)
    assert (config.training.keep, config.training.evaluate_every) == ("best", 7)


def test_a_corpus_that_draws_its_sentences_is_small_by_its_size() -> None:
    assert small_text(config_of("grammar")) == {}
    few = make_config(data="grammar", corpus_options={"size": 100}, steps=300, batch_size=10, host=default_host())
    assert few.training.keep == "best"


@pytest.mark.parametrize("name", ["few.txt", "few.txt.gz", "few.json", "few.json.gz", "few.jsonl"])
def test_the_packing_of_a_small_text_changes_no_default(tmp_path: Path, name: str) -> None:
    """An array in one line has its sentences in objects."""
    records = [{"text": "a dog sleeps ."}] * 40
    lines = ["a dog sleeps ."] * 40 if ".txt" in name else list(map(json.dumps, records))
    data = (json.dumps(records) if ".json" in name and ".jsonl" not in name else "\n".join([*lines, ""])).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    config = config_of(tmp_path / name)
    assert (config.training.keep, config.training.evaluate_every) == ("best", EPOCHS * 4)


class Named(Options):
    size: str = option("tiny", "name of the size")


def test_text_of_unknown_size_is_not_small(tmp_path: Path) -> None:
    broken, large = tmp_path / "few.txt.gz", tmp_path / "large.txt.gz"
    broken.write_bytes(gzip.compress(b"a dog\n" * 40)[:-4])
    large.write_bytes(gzip.compress(b"a" * LARGEST + b"\n" * 40))
    for path in (broken, large, tmp_path / "missing.txt"):
        assert small_text(config_of(path)) == {}
    assert small_text(config_of("-")) == {}
    assert small_text(replace(config_of("grammar"), corpus=Choice("named", Named()))) == {}
