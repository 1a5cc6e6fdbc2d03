"""Streams that start at any sentence, and the filter that passes each sentence once."""

import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.bundle import load, stream
from ganlm_core.bundle.model import Model
from ganlm_core.bundle.select import SELECTIONS, Tally
from ganlm_core.bundle.stream import Drawn, Seen, take, unique
from ganlm_core.errors import GanlmError, ProcessLost
from ganlm_core.plugins.host import Host
from ganlm_core.system import processes
from tests.conftest import Ganlm


@pytest.fixture(scope="module")
def model(saved: Path, host: Host) -> Model:
    return load.load(saved, host)


def texts_of(batches: Any, n: int) -> list[str]:
    return [text for batch in take(batches, n) for text in batch.texts]


def test_a_stream_is_what_a_model_samples(model: Model) -> None:
    assert texts_of(stream.draw(model, seed=3), 600) == model.sample(600, seed=3)


@pytest.mark.parametrize("offset", [1, 256, 300])
def test_an_offset_skips_as_many_sentences(model: Model, offset: int) -> None:
    assert texts_of(stream.draw(model, seed=3, offset=offset), 50) == model.sample(offset + 50, seed=3)[offset:]


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_starts_at_any_batch(model: Model, name: str) -> None:
    whole, part = Tally(), Tally()
    every = list(islice(stream.select(model, SELECTIONS[name], 20, whole, seed=1), 4))
    later = list(islice(stream.select(model, SELECTIONS[name], 20, part, seed=1, offset=250), 2))
    assert [batch.end for batch in every] == [240, 480, 720, 960]
    assert later == every[2:], "250 candidates end in the second batch of 240"
    assert (whole.candidates, part.candidates) == (960, 480)
    drawn = set(model.sample(960, seed=1, batch_size=240))
    assert all(text in drawn for batch in every for text in batch.texts)


def pairs_from_behind(work: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
    """Work as two processes do when the second is always faster."""
    parts = iter(parts)
    while two := list(islice(parts, 2)):
        later, earlier = work(two[1]), work(two[0])
        yield from (earlier, later)


@pytest.mark.parametrize("name", SELECTIONS)
def test_the_process_that_draws_a_batch_does_not_matter(model: Model, name: str) -> None:
    alone, together = Tally(), Tally()
    found = [
        list(islice(stream.select(model, SELECTIONS[name], 20, tally, seed=1, divide=divide), 3))
        for tally, divide in ((alone, map), (together, pairs_from_behind))
    ]
    assert found[0] == found[1]
    assert vars(alone) == vars(together)
    assert texts_of(stream.draw(model, seed=3, offset=300, divide=pairs_from_behind), 600) == texts_of(
        stream.draw(model, seed=3, offset=300), 600
    )


def test_a_stream_that_loses_a_process_says_how_to_go_on(
    command: Ganlm, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def divided(work: Callable[[int], Any], parts: Iterable[int]) -> Iterator[Any]:
        yield work(next(iter(parts)))
        raise ProcessLost("the other one has gone")

    whole = command("sample", saved, "-n", 256)[1]
    monkeypatch.setattr(processes, "divided", divided)
    lost = "ganlm: error: the other one has gone; 256 sentences are written, go on with --offset 256\n"
    assert command("sample", saved, "-n", 700) == (1, whole, lost)


def test_a_filter_recognises_every_text_it_has_seen() -> None:
    seen = Seen(20_000)
    texts = [f"sentence {number}" for number in range(20_000)]
    assert seen.add(texts[:9_000]) == texts[:9_000]
    assert seen.add(texts) == texts[9_000:]
    assert seen.add(texts) == []
    assert seen.add(["new", "new"]) == ["new"]


def test_a_filter_errs_with_its_stated_probability() -> None:
    """20,000 strangers at a full filter of error 1%: a rate beyond 1.3% has a chance of one in ten thousand."""
    seen = Seen(5_000, error=0.01)
    seen.add(f"sentence {number}" for number in range(5_000))
    strangers = [[f"stranger {number}"] for number in range(20_000)]
    places = seen._places([text for [text] in strangers])
    known = (seen._bits[places >> 3] >> (places & 7) & 1).all(axis=1)
    assert 0.003 < known.mean() < 0.013


def test_the_memory_of_a_filter_is_fixed() -> None:
    seen = Seen(1_000_000)
    assert sys.getsizeof(seen._bits) < 3.7e6
    assert seen._bits.nbytes > 3.5e6
    tracemalloc.start()
    for batch in range(40):
        seen.add(f"{batch} {number}" for number in range(256))
    assert tracemalloc.get_traced_memory()[0] < 100_000
    tracemalloc.stop()


def test_a_generator_without_new_sentences_ends_the_stream() -> None:
    batches = unique((Drawn(["a", "b"], n, n + 1) for n in range(1000)), Seen(10))
    assert next(batches).texts == ["a", "b"]
    with pytest.raises(GanlmError) as caught:
        list(batches)
    assert str(caught.value) == (
        "the last 64 batches had no new sentence: the generator seems to have no more; "
        "ask for fewer with -n, or raise --temperature"
    )


def test_only_the_batches_that_are_needed_are_drawn() -> None:
    batches = iter([Drawn(["a", "b"], 0, 9), Drawn(["c", "d"], 9, 18), Drawn(["e"], 18, 27)])
    assert list(take(batches, 3)) == [Drawn(["a", "b"], 0, 9), Drawn(["c"], 9, 9)]
    assert next(batches).texts == ["e"]
    assert list(take(batches, 0)) == []
    known = [Drawn(["a", "b", "c"], 0, 9, [2, 5, 9])]
    assert list(take(known, 2)) == [Drawn(["a", "b"], 0, 5, [2, 5])]


def test_copies_with_other_white_space_or_normal_form_are_not_new():
    seen = Seen(10)
    assert seen.add(["naïve cat", "nai\u0308ve  cat", " a dog"]) == ["naïve cat", " a dog"]
    assert seen.add(["naïve\tcat", "a dog", "a\x1fcat"]) == ["a\x1fcat"]
