import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganlm_core.components import AUTO
from ganlm_core.config.make_config import make_config
from ganlm_core.data import encoding, text_files
from ganlm_core.data.corpus import Corpus
from ganlm_core.data.encoding import encode
from ganlm_core.data.options import TOKENIZERS, FileOptions
from ganlm_core.data.text_files import file_corpus
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import DataError
from ganlm_core.protocol import EOS, NEVER, UNK, Shape
from ganlm_core.sampling import Policy, draw
from ganlm_core.training import building, setup
from tests.conftest import Ganlm, files_of

SENTENCES = [f"the {word} number {i} sleeps ." for i in range(150) for word in ("naïve cat", "dog")] + [
    "long " * 70,
    "no",
    "go",
    "up",
]


@pytest.fixture
def corpora(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Corpus, Corpus]:
    """The same sentences in memory and in the cache."""
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "data.txt"
    path.write_text("\n".join(SENTENCES))
    in_memory = file_corpus(FileOptions(path=str(path)))
    monkeypatch.setattr(text_files, "LARGE", 0)
    return in_memory, file_corpus(FileOptions(path=str(path)))


def test_a_given_tokenizer_is_taken_and_its_ids_are_cached_beside_those_of_others(
    corpora: tuple[Corpus, Corpus],
) -> None:
    given = Tokenizer.train("word", ["the dog sleeps ."], 20)
    for corpus in corpora:
        own = encode(corpus, "word", 70, 20)
        found = encode(corpus, "word", 70, 20, given, "do this")
        assert found.tokenizer.to_json() == given.to_json() != own.tokenizer.to_json()
        assert found.tokens.long().equal(given.encode(corpus.train, 20)[0])
        assert found.notes[-1].endswith("of the training split are <unk>; do this")
        assert encode(corpus, "word", 70, 20).tokens.equal(own.tokens)


@pytest.mark.parametrize("most", [AUTO, 4, 20])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_cached_ids_and_ids_in_memory_equal_the_tokenizer(
    monkeypatch: pytest.MonkeyPatch, corpora: tuple[Corpus, Corpus], kind: str, most: int
) -> None:
    in_memory, kept = corpora
    monkeypatch.setattr("ganlm_core.data.tokenizer.CHUNK", 100)  # several of them
    tokenizer = Tokenizer.train(kind, in_memory.train, 70)
    expected, _ = tokenizer.encode(in_memory.train, most or max(tokenizer.lengths(in_memory.train)))
    notes = []
    for corpus in (in_memory, kept, kept):
        found = encode(corpus, kind, 70, most)
        assert found.tokens.dtype == torch.int16
        assert found.tokens.long().equal(expected)
        assert found.tokenizer.to_json() == tokenizer.to_json()
        notes.append(found.notes)
    assert notes == [notes[0]] * 3
    unknown, words = (int(part.sum()) for part in (expected == UNK, expected >= UNK))
    assert notes[0] == unknown_note(in_memory, unknown, words, f"{unknown / words:.1%}", kind)


def unknown_note(corpus: Corpus, unknown: int, words: int, share: str, kind: str) -> tuple[str, ...]:
    counted = f"{unknown:,} of {words:,} {encoding.UNITS[kind]} ({share})"
    note = f"{corpus.name}: {counted} of the training split are <unk>; raise --tokenizer.vocabulary to keep more"
    return (note,) if unknown else ()


@pytest.mark.parametrize(
    ("kind", "vocabulary", "unknown", "words", "share"),
    [("word", 5, 3, 6, "50.0%"), ("char", 8, 1, 15, "6.7%"), ("word", 8, 0, 6, ""), ("bpe", 10, 0, 11, "")],
)
def test_the_share_of_unknown_words_is_told(kind: str, vocabulary: int, unknown: int, words: int, share: str) -> None:
    corpus = Corpus("two", ["ab ba ab", "ab cd c"], [], [])
    assert encode(corpus, kind, vocabulary, AUTO).notes == unknown_note(corpus, unknown, words, share, kind)


def test_nothing_is_encoded_twice(monkeypatch: pytest.MonkeyPatch, corpora: tuple[Corpus, Corpus]) -> None:
    first = encode(corpora[1], "word", 70, AUTO)
    with monkeypatch.context() as patch:
        patch.delattr(Tokenizer, "train")
        patch.delattr(Tokenizer, "chunks")
        assert encode(corpora[1], "word", 70, AUTO).tokens.equal(first.tokens)
        with pytest.raises(AttributeError):
            encode(corpora[1], "word", 70, 9)
    others = [("char", 70, AUTO), ("word", 71, AUTO), ("word", 70, 9), ("bpe", 70, 9)]
    for number, settings in enumerate(others, start=2):
        encode(corpora[1], *settings)
        assert len([*kept_ids(corpora[1])]) == number
    monkeypatch.setattr("tokenizers.__version__", "another")
    encode(corpora[1], "word", 70, AUTO)
    assert len([*kept_ids(corpora[1])]) == len(others) + 2


def kept_ids(corpus: Corpus) -> list[Path]:
    assert corpus.cache is not None
    return [*corpus.cache.glob("encoded-*/ids")]


@pytest.mark.parametrize("damage", [b"", b"half", None], ids=["empty", "cut", "changed"])
def test_damaged_ids_are_made_again(corpora: tuple[Corpus, Corpus], damage: bytes | None) -> None:
    expected = encode(corpora[1], "word", 70, AUTO).tokens.clone()
    (path,) = kept_ids(corpora[1])
    path.write_bytes(path.read_bytes()[:-2] + b"\1\0" if damage is None else damage)
    assert encode(corpora[1], "word", 70, AUTO).tokens.equal(expected)


def test_a_sequence_has_64_tokens_at_most_by_default() -> None:
    assert encode(Corpus("long", ["a", "a " * 100], [], []), "word", 10, AUTO).tokens.shape == (2, 64)


def test_many_words_take_larger_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"a{i}" for i in range(2**15)]
    for words, kind in ((2**15 - 4, torch.int16), (2**15, torch.int32)):
        found = encode(Corpus("many", texts[:words], [], []), "word", 2**16, AUTO)
        assert found.tokens.dtype == kind
        assert int(found.tokens.max()) == words + 3


@pytest.mark.parametrize("most", [AUTO, 5])
def test_a_length_that_cuts_every_sentence_is_refused_by_the_name_of_the_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, most: int
) -> None:
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "data.txt"
    path.write_text("\n".join(f"{i} " * (70 + i) for i in range(200)))
    for large in (2**20, 0):
        monkeypatch.setattr(text_files, "LARGE", large)
        corpus = file_corpus(FileOptions(path=str(path)))
        with pytest.raises(DataError) as caught:
            encode(corpus, "word", 100, most)
        shortest = min(map(len, map(str.split, corpus.train))) + 1
        assert str(caught.value) == (
            f"{path}: every sentence has more than the {most or 64} tokens of a sequence, the shortest has {shortest} "
            "with <eos>; raise --tokenizer.max-length"
        )
    assert kept_ids(corpus) == []


def test_ids_stay_in_memory_if_the_cache_cannot_be_written(corpora: tuple[Corpus, Corpus], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    closed = replace(corpora[1], cache=tmp_path / "file" / "corpus")
    found, expected = encode(closed, "word", 70, AUTO), encode(corpora[0], "word", 70, AUTO)
    assert found.tokens.equal(expected.tokens)
    note, _ = found.notes
    assert re.sub("[0-9a-f]{32}", "KEY", note) == (
        f"cannot write {closed.cache}/encoded-KEY: Not a directory; "
        "a part of the path is a file, choose another place; the ids are held in memory instead"
    )


def test_ids_stay_in_memory_if_the_disk_is_full(
    monkeypatch: pytest.MonkeyPatch, corpora: tuple[Corpus, Corpus]
) -> None:
    def full(path: Path, chunks: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encoding, "_dump", full)
    found = encode(corpora[1], "word", 70, AUTO)
    assert found.tokens.equal(encode(corpora[0], "word", 70, AUTO).tokens)
    assert found.notes[0].endswith("No space left on device; free some space; the ids are held in memory instead")
    assert kept_ids(corpora[1]) == []


def test_a_tokenizer_is_trained_on_an_even_subsample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "SAMPLE", 2)
    found = encode(Corpus("four", ["a", "b", "c", "d"], [], []), "word", 10, AUTO)
    assert found.tokenizer.decode(found.tokens.long()) == ["a", "<unk>", "c", "<unk>"]


def test_a_run_on_kept_data_is_the_same_to_the_last_byte(
    monkeypatch: pytest.MonkeyPatch, ganlm: Ganlm, tmp_path: Path
) -> None:
    """With its interim evaluations, its bundle and what it copies; and only the first that keeps them says so."""
    monkeypatch.setenv("GANLM_CACHE", "cache")
    Path("data.csv").write_text("\n".join(["text", *SENTENCES, *SENTENCES[:99]]))
    sizes = ["--steps", 4, "--evaluate-every", 2, "--batch-size", 8, "--evaluation-samples", 20, "--device", "cpu"]
    run = ["run", "--gen", "ngram-mlp", "--disc", "mlp", "--data", "data.csv", *sizes]
    told = []
    for number, large in enumerate((2**20, 0, 0)):
        monkeypatch.setattr(text_files, "LARGE", large)
        code, _, err = ganlm(*run, "--out", number)
        assert code == 0, err
        told.append([re.sub("[0-9a-f]{32}", "KEY", line) for line in err.splitlines() if "kept" in line])
    corpus = f"{tmp_path}/cache/corpora/KEY"
    reading = f"reading data.csv, once: it is kept in {corpus}"
    assert told == [[], [reading, f"encoding data.csv, once: it is kept in {corpus}/encoded-KEY"], []]
    one, *others = (files_of(tmp_path / str(number)) for number in range(3))
    assert "bundle/SHA256SUMS" in one
    assert others == [one, one]


def test_counts_and_hashes_in_parts_equal_counts_and_hashes_at_once(
    monkeypatch: pytest.MonkeyPatch, corpora: tuple[Corpus, Corpus]
) -> None:
    path = corpora[1].name
    monkeypatch.setattr(setup, "CHUNK", 7)
    monkeypatch.setattr(building, "CHUNK", 7)
    found = setup.prepare(make_config("ngram-mlp", "mlp", data=path, device="cpu"))
    tokens, _ = found.tokenizer.encode(corpora[0].train, found.shape.length)
    assert found.fingerprint == hashlib.sha256(tokens.numpy().tobytes()).hexdigest()
    counts = torch.full((found.shape.length, found.shape.vocabulary), encoding.SMOOTHING, dtype=torch.float64)
    for row in tokens.tolist():
        for place, token in enumerate(row[: row.index(EOS) + 1] if EOS in row else row):
            counts[place, token] += 1
    assert encoding.token_counts(found.trainer.batches.tokens.split(7), found.shape).equal(counts)


PROGRAM = """
import sys, threading
from pathlib import Path

from ganlm_core.data import tokenizer
from ganlm_core.config.make_config import make_config
from ganlm_core.training.train import execute

tokenizer.CHUNK = 1000  # what is encoded at once is twenty megabytes of the ten thousand sentences
most, done = 0, threading.Event()

def watch():
    global most
    while not done.wait(0.01):
        lines = Path("/proc/self/status").read_text().splitlines()
        most = max(most, *(int(line.split()[1]) for line in lines if line.startswith("RssAnon")))

threading.Thread(target=watch, daemon=True).start()
for data in sys.argv[1:]:
    config = make_config("lstm", "mlp", data=data, steps=2, evaluation_samples=20, device="cpu")
    execute(config, out=Path(f"{data}.run"))
    print(most)
done.set()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what memory is the process's own")
def test_memory_does_not_grow_with_the_number_of_sentences(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A whole run on ten times as many; mapped files do not count. In lists, strings alone would take 45 MB more."""
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    counts = {"first": 10_000, "few": 10_000, "many": 100_000}  # what a process's first run takes is none of this
    for name, count in counts.items():
        text = "".join(f"{'x' * 400} {i % 499} cats {i // 499}\n" for i in range(count))
        (tmp_path / name).write_text(text)
    text_files = [tmp_path / name for name in counts]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *text_files], capture_output=True, text=True, check=True)
    _, few, many = map(int, done.stdout.split())
    assert many - few < 15_000  # kilobytes: one epoch's permutation, and what the allocators do not give back


FIXED = Corpus("fixed", ["a b", "b b"], ["b a"], ["a a"], fixed_length=True)


def test_sentences_of_fixed_length_have_no_end() -> None:
    found = encode(FIXED, "word", 10, AUTO)
    assert found.tokens.tolist() == [[5, 4], [4, 4]]
    assert found.tokenizer.encode(FIXED.test, 2)[0].tolist() == [[5, 5]]
    assert encode(FIXED, "word", 10, 2).tokens.equal(found.tokens)


def test_a_corpus_in_the_cache_has_fixed_length_too(corpora: tuple[Corpus, Corpus], tmp_path: Path) -> None:
    path = tmp_path / "equal.txt"
    path.write_text("\n".join(f"the cat {number} sleeps" for number in range(200)))
    loose, fixed = (file_corpus(FileOptions(path=str(path), fixed_length=each)) for each in (False, True))
    assert fixed.cache is not None and fixed.cache == loose.cache
    ended = encode(loose, "word", 300, AUTO).tokens
    assert ended.shape[1] == 5 and (ended[:, 4] == EOS).all()
    assert encode(fixed, "word", 300, AUTO).tokens.equal(ended[:, :4])


@pytest.mark.parametrize(
    ("corpus", "most", "message"),
    [
        (
            replace(FIXED, test=["a b a"]),
            AUTO,
            "fixed: sentences have 2 to 3 tokens, and with --corpus.fixed-length all ",
        ),
        (FIXED, 3, "fixed: every sentence has 2 tokens, and --tokenizer.max-length is 3; make it 2"),
    ],
)
def test_other_lengths_are_refused(corpus: Corpus, most: int, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        encode(corpus, "word", 10, most)


def test_a_tokenizer_knows_all_words_that_the_corpus_says() -> None:
    """The order of the words of the text stays; the others follow."""
    known = replace(FIXED, vocabulary=["c", "a", "b"])
    tokenizer = encode(known, "word", 10, AUTO).tokenizer
    assert tokenizer.encode(["b a c"], 3)[0].tolist() == [[4, 5, 6]]
    assert encoding.impossible(known, tokenizer) == [EOS, UNK]
    assert encoding.impossible(known, encode(FIXED, "word", 10, AUTO).tokenizer) == [EOS]
    assert encoding.impossible(replace(FIXED, fixed_length=False), tokenizer) == []


def test_a_word_that_cannot_occur_is_never_drawn_and_has_a_finite_log_frequency() -> None:
    counts = encoding.token_counts([torch.tensor([[4, 5]])], Shape(6, 2, 0), [EOS])
    assert counts[:, EOS].tolist() == [0, 0]
    prior = encoding.log_frequencies(counts.sum(dim=0))
    assert prior[EOS] == NEVER and prior.isfinite().all()
    for temperature in (1e-4, 1.0, 1e30):
        drawn, _ = draw(prior, Policy(temperature), samples=500)
        assert not (drawn == EOS).any()
