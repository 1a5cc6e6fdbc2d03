"""Streams that go on from where they were, and a filter that never lets a sentence through twice."""

import gzip
import json
import signal
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
def test_an_offset_passes_over_as_many(model: Model, offset: int) -> None:
    assert texts_of(stream.draw(model, seed=3, offset=offset), 50) == model.sample(offset + 50, seed=3)[offset:]


@pytest.mark.parametrize("name", SELECTIONS)
def test_selected_sentences_go_on_from_any_batch(model: Model, name: str) -> None:
    whole, part = Tally(), Tally()
    every = list(islice(stream.select(model, SELECTIONS[name], 20, whole, seed=1), 4))
    later = list(islice(stream.select(model, SELECTIONS[name], 20, part, seed=1, offset=250), 2))
    assert [batch.end for batch in every] == [240, 480, 720, 960]
    assert later == every[2:], "250 candidates end in the second batch of 240"
    assert (whole.candidates, part.candidates) == (960, 480)
    drawn = set(model.sample(960, seed=1, batch_size=240))
    assert all(text in drawn for batch in every for text in batch.texts)


def pairs_from_behind(work: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
    """What two processes do, of which the second one is always faster."""
    parts = iter(parts)
    while two := list(islice(parts, 2)):
        later, earlier = work(two[1]), work(two[0])
        yield from (earlier, later)


@pytest.mark.parametrize("name", SELECTIONS)
def test_it_does_not_matter_who_draws_which_batch(model: Model, name: str) -> None:
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


def test_a_filter_knows_everything_that_it_has_seen() -> None:
    seen = Seen(20_000)
    texts = [f"sentence {number}" for number in range(20_000)]
    assert seen.add(texts[:9_000]) == texts[:9_000]
    assert seen.add(texts) == texts[9_000:]
    assert seen.add(texts) == []
    assert seen.add(["new", "new"]) == ["new"]


def test_a_filter_errs_as_often_as_it_says() -> None:
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


def test_a_generator_that_has_no_more() -> None:
    batches = unique((Drawn(["a", "b"], n, n + 1) for n in range(1000)), Seen(10))
    assert next(batches).texts == ["a", "b"]
    with pytest.raises(GanlmError) as caught:
        list(batches)
    assert str(caught.value) == (
        "the last 64 batches had no new sentence: the generator seems to have no more; "
        "ask for fewer with -n, or raise --temperature"
    )


def test_nothing_is_drawn_that_is_not_needed() -> None:
    batches = iter([Drawn(["a", "b"], 0, 9), Drawn(["c", "d"], 9, 18), Drawn(["e"], 18, 27)])
    assert list(take(batches, 3)) == [Drawn(["a", "b"], 0, 9), Drawn(["c"], 9, 9)]
    assert next(batches).texts == ["e"]
    assert list(take(batches, 0)) == []


def test_files_that_are_gone_on_with_are_those_of_one_go(command: Ganlm, saved: Path, tmp_path: Path) -> None:
    arguments = ["sample", saved, "--unique", "--seed", 2]
    code, whole, err = command(*arguments, "-n", 900)
    assert code == 0 and len(set(whole.splitlines())) == 900
    end = err.removesuffix("\n").rpartition(" ")[2]
    assert err == f"go on with --offset {end}\n"
    parts = tmp_path / "parts.txt.gz"
    offset = 0
    for _ in range(3):
        code, out, err = command(*arguments, "-n", 300, "--offset", offset, "--out", parts)
        assert (code, out) == (0, "")
        offset = int(err.removesuffix("\n").rpartition(" ")[2])
    assert gzip.decompress(parts.read_bytes()).decode() == whole


def test_json_lines_are_recognised_when_they_are_gone_on_with(command: Ganlm, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    for offset in (0, 512):
        assert command("sample", saved, "--unique", "--json", "-n", 400, "--offset", offset, "--out", out)[0] == 0
    texts = [json.loads(line)["text"] for line in out.read_text().splitlines()]
    assert len(set(texts)) == len(texts) == 800


def test_a_file_is_never_written_over(command: Ganlm, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear\n")
    code, out, err = command("sample", saved, "--out", tmp_path / "letters.txt")
    assert (code, out) == (2, "")
    assert err == (
        f"ganlm: error: {tmp_path}/letters.txt already exists; choose another file, or append to it with "
        "--offset and the number of sentences drawn for it so far\n"
    )
    assert (tmp_path / "letters.txt").read_text() == "dear\n"


@pytest.mark.parametrize("name", ["cut.txt", "cut.txt.gz"])
def test_a_file_that_was_cut_short_is_not_gone_on_with(command: Ganlm, saved: Path, tmp_path: Path, name: str) -> None:
    data = b"one\ntwo\nthr"
    (tmp_path / name).write_bytes(gzip.compress(data + b"ee\n")[:-3] if name.endswith(".gz") else data)
    code, _, err = command("sample", saved, "--unique", "--offset", 1, "--out", tmp_path / name)
    assert code == 1
    assert err == (
        f"ganlm: error: {tmp_path}/{name} was cut short; unpack it, drop its last line and go on with what is left\n"
    )


def test_an_interrupted_stream_ends_with_a_whole_batch(
    command: Ganlm, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = command("sample", saved, "-n", 700)[1]
    drawn = stream.draw

    def interrupted(*arguments: Any) -> Any:
        for batch in drawn(*arguments):
            if batch.start == 256:
                signal.raise_signal(signal.SIGINT)
            yield batch

    monkeypatch.setattr(stream, "draw", interrupted)
    out = tmp_path / "out.txt"
    assert command("sample", saved, "-n", 700, "--out", out) == (
        130, "", "ganlm: error: interrupted after 512 sentences; go on with --offset 512\n"
    )  # fmt: skip
    monkeypatch.setattr(stream, "draw", drawn)
    assert command("sample", saved, "-n", 188, "--offset", 512, "--out", out)[0] == 0
    assert out.read_text() == whole


def test_select_says_what_it_did(command: Ganlm, saved: Path) -> None:
    code, out, err = command("sample", saved, "-n", 5, "--select", "rerank", "--candidates", 4)
    assert code == 0 and len(out.splitlines()) == 5
    assert err.startswith("64 of 256 candidates accepted (acceptance rate 25.0%); effective sample size ")
    assert err.endswith("% of the candidates\n") and err.count("\n") == 1
    assert command("sample", saved, "-n", 5, "--select", "rerank", "--candidates", 4)[1] == out


def test_select_at_another_temperature_wants_to_be_calibrated(command: Ganlm, saved: Path) -> None:
    code, _, err = command("sample", saved, "--select", "mh", "--temperature", 0.5)
    assert code == 2 and err == (
        "ganlm: error: the bundle's discriminator is calibrated for temperature 1 and all words; "
        "add --data FILE|CORPUS to calibrate it for these options\n"
    )
