import gzip
import io
import itertools
import math
import os
import re
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ganlm_core.data import mapped_lines, text_files
from ganlm_core.data.corpus import Corpus, split
from ganlm_core.data.grammar import LONGEST, Grammar, grammar_corpus
from ganlm_core.data.mapped_lines import Lines, lookup, write_splits
from ganlm_core.data.options import FileOptions, GrammarOptions, OracleOptions, PasswordsOptions
from ganlm_core.data.oracle import Oracle, oracle_corpus
from ganlm_core.data.passwords import TAILS, WORDS, Passwords, passwords_corpus
from ganlm_core.data.text_files import file_corpus, read_sentences
from ganlm_core.errors import DataError, GanlmError, OptionError, UnknownName

# One sentence in two ways: a b is 2/4 as a pair, and 1/4 as the letters, with b 2/3 of the second ones.
SMALL = {"Sentence": "2 a b | 1 Letter Second | 1 Number# Count#", "Letter": "1 a | 1 c", "Second": "2 b | 1 d"}
SMALL_WORDS = {"Number#": "one/two one/three", "Count#": "cat/cats"}


def small_language() -> list[str]:
    return [f"{first} {second}" for first in ("a", "c") for second in ("b", "d")] + [
        "one cat",
        "two cats",
        "three cats",
    ]


def test_a_sentence_has_the_probability_of_all_its_derivations() -> None:
    grammar = Grammar(SMALL, SMALL_WORDS)
    by_hand = {"a b": 1 / 2 + 1 / 4 * 1 / 2 * 2 / 3, "c d": 1 / 4 * 1 / 2 * 1 / 3, "one cat": 1 / 8, "two cats": 1 / 16}
    assert grammar.log_prob(list(by_hand)) == pytest.approx([math.log(p) for p in by_hand.values()])


def test_the_probabilities_of_a_small_grammar_sum_to_one() -> None:
    probabilities = [math.exp(score) for score in Grammar(SMALL, SMALL_WORDS).log_prob(small_language())]
    assert min(probabilities) > 0
    assert sum(probabilities) == pytest.approx(1)


def test_entropy_is_over_sentences_and_not_over_derivations() -> None:
    grammar = Grammar(SMALL, SMALL_WORDS)
    expected = -sum(math.exp(score) * score for score in grammar.log_prob(small_language()))
    assert grammar.entropy() == pytest.approx(expected)


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar()


@pytest.fixture(scope="module")
def drawn(grammar: Grammar) -> list[str]:
    return grammar.sample(10_000, seed=1)


AGREEMENT = [
    ("the dog sleeps .", "the dog sleep ."),
    ("the dogs sleep .", "the dogs sleeps ."),
    ("a child laughs .", "a children laugh ."),
    ("these cats play .", "this cats play ."),
    ("every teacher works .", "every teachers work ."),
    ("many birds hide .", "many bird hides ."),
    ("the dogs near the river run .", "the dogs near the river runs ."),
    ("the dog that the children love sleeps .", "the dog that the children love sleep ."),
    ("the dog that the children love sleeps .", "the dog that the children loves sleeps ."),
    ("the dogs that the child loves sleep .", "the dogs that the child loves sleeps ."),
    ("the cats that chase a mouse sleep .", "the cats that chase a mouse sleeps ."),
    ("the cats that chase a mouse sleep .", "the cats that chases a mouse sleep ."),
    ("the girl who feeds the geese is happy .", "the girl who feeds the geese are happy ."),
    (
        "in the winter the trains near the mill stop near the road .",
        "in the winter the trains near the mill stops near the road .",
    ),
]


@pytest.mark.parametrize(("right", "wrong"), AGREEMENT)
def test_agreement_across_what_stands_between(grammar: Grammar, right: str, wrong: str) -> None:
    good, bad = grammar.log_prob([right, wrong])
    assert math.isfinite(good)
    assert bad == -math.inf


@pytest.mark.parametrize(
    "text", ["", ".", "the dog sleeps", "the dog sleeps . .", "the zebra sleeps .", "The dog sleeps ."]
)
def test_what_is_no_sentence_has_no_probability(grammar: Grammar, text: str) -> None:
    assert grammar.log_prob([text]) == [-math.inf]


def test_every_sentence_drawn_is_possible_and_their_surprise_is_the_entropy(grammar: Grammar, drawn: list[str]) -> None:
    surprise = [-score for score in grammar.log_prob(drawn)]
    assert all(map(math.isfinite, surprise))
    error = statistics.stdev(surprise) / math.sqrt(len(surprise))
    assert statistics.mean(surprise) == pytest.approx(grammar.entropy(), abs=4 * error)


def test_sentences_are_varied_and_of_the_promised_length(grammar: Grammar, drawn: list[str]) -> None:
    assert len(set(drawn[:1000])) > 970
    lengths = [len(text.split()) for text in drawn]
    assert grammar.longest == LONGEST == max(lengths)
    assert sum(5 <= length <= 12 for length in lengths) > 0.9 * len(lengths)


def test_the_words_are_few_and_the_article_fits_those_after_it(grammar: Grammar, drawn: list[str]) -> None:
    assert 150 <= len(grammar.words) <= 300
    after = {second for text in drawn for first, second in itertools.pairwise(text.split()) if first == "a"}
    assert len(after) > 50
    assert not any(word[0] in "aeiou" for word in after)


def test_drawing_depends_on_the_seed_alone() -> None:
    program = "from ganlm_core.data.grammar import Grammar; print(Grammar().sample(50, seed=7))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert outputs == {f"{Grammar().sample(50, seed=7)}\n".encode()}
    assert Grammar().sample(50, seed=8) != Grammar().sample(50, seed=7)


def test_the_grammar_and_file_corpora_do_without_torch() -> None:
    program = "import sys, ganlm_core.data.grammar, ganlm_core.data.text_files; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_grammar_corpus_has_its_size_and_process() -> None:
    corpus = grammar_corpus(GrammarOptions(size=500, seed=3))
    assert len(corpus.train) + len(corpus.validation) + len(corpus.test) == 500
    assert not set(corpus.train) & set(corpus.test)
    assert corpus.process is not None
    assert all(map(math.isfinite, corpus.process.log_prob(corpus.test)))


def tiny_oracle() -> Oracle:
    return Oracle.draw(torch.Generator().manual_seed(0), vocabulary=3, length=3)


def test_a_password_is_a_head_and_a_tail() -> None:
    """By hand: a word of so many with or without a capital, times its tail's kind and its share of that kind."""
    n = len(WORDS.split())
    by_hand = {
        "dragon": 0.8 / n * 0.25,
        "Dragon7": 0.2 / n * 0.15 / 10,
        "moon1984": 0.8 / n * 0.15 / 60,
        "sky!": 0.8 / n * 0.08,
    }
    assert Passwords().log_prob(list(by_hand)) == pytest.approx([math.log(p) for p in by_hand.values()])


def test_the_probabilities_of_all_passwords_sum_to_one() -> None:
    process = Passwords()
    every = [head + tail for head in process.heads for tail in process.tails]
    assert len(set(every)) == len(every) == 2 * len(WORDS.split()) * sum(len(kind) for _, kind in TAILS)
    assert math.fsum(math.exp(each) for each in process.log_prob(every)) == pytest.approx(1)
    assert max(map(len, every)) == 10


@pytest.mark.parametrize("text", ["", "7", "dragon1234", "dragon 7", "DRAGON", "dragonfly", "sky!!", "moon1959"])
def test_what_nobody_puts_together_has_no_probability(text: str) -> None:
    assert Passwords().log_prob([text]) == [-math.inf]


def test_the_passwords_corpus_has_its_size_and_seed() -> None:
    corpus = passwords_corpus(PasswordsOptions(size=500, seed=3))
    texts = [*corpus.train, *corpus.validation, *corpus.test]
    assert sorted(texts) == sorted(Passwords().sample(500, 3)) != sorted(Passwords().sample(500, 4))
    assert corpus.process is not None
    assert all(map(math.isfinite, corpus.process.log_prob(texts)))


def test_the_oracle_computes_what_an_lstm_cell_does() -> None:
    oracle = Oracle.draw(torch.Generator().manual_seed(1), vocabulary=50, length=7)
    cell = torch.nn.LSTMCell(32, 32).double()
    named = {"weight_ih": "input.weight", "weight_hh": "hidden.weight", "bias_ih": "bias"}
    weights = {name: tensor.double() for name, tensor in oracle.weights.items()}
    cell.load_state_dict({key: weights[name] for key, name in named.items()} | {"bias_hh": torch.zeros(128)})
    (text,) = oracle.sample(1, seed=2)
    state, before, expected = None, 0, 0.0
    for word in text.split():
        state = cell(weights["embedding"][before][None], state)
        logits = weights["output.weight"] @ state[0][0] + weights["output.bias"]
        before = int(word[1:])
        expected += logits.log_softmax(0)[before].item()
    assert oracle.log_prob([text]) == pytest.approx([expected], rel=1e-12)  # both in float64


def test_the_probabilities_of_a_tiny_oracle_sum_to_one() -> None:
    texts = [" ".join(words) for words in itertools.product(("w0", "w1", "w2"), repeat=3)]
    assert sum(map(math.exp, tiny_oracle().log_prob(texts))) == pytest.approx(1)


def test_the_oracle_draws_sequences_as_often_as_it_scores_them() -> None:
    oracle, n = tiny_oracle(), 20_000
    drawn = oracle.sample(n, seed=3)
    for text in {*drawn}:
        p = math.exp(oracle.log_prob([text])[0])
        # Five standard errors of a share, and one draw for the rarest: one seed in tens of thousands fails.
        assert drawn.count(text) / n == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / n) + 1 / n)


@pytest.mark.parametrize("text", ["", "w0 w1", "w0 w1 w2 w0", "w0 w1 w3", "w0 w1 w02", "w0 w1 w-1", "w0 w1 <unk>"])
def test_the_oracle_cannot_give_other_sequences(text: str) -> None:
    first, second = tiny_oracle().log_prob([text, "w0 w1 w2"])
    assert first == -math.inf
    assert math.isfinite(second)


def test_an_oracle_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    oracle, path = Oracle.draw(torch.Generator().manual_seed(0), 30, length=3), tmp_path / "oracle.safetensors"
    oracle.save(path)
    again = Oracle.load(path, length=3)
    assert again.log_prob(["w2 w0 w1"]) == oracle.log_prob(["w2 w0 w1"])
    corpus = oracle_corpus(OracleOptions(size=200, weights=str(path), length=3))
    assert corpus.process is not None
    assert corpus.process.log_prob(["w2 w0 w1"]) == oracle.log_prob(["w2 w0 w1"])


def test_the_seed_fixes_the_oracle_and_its_sequences() -> None:
    options = OracleOptions(size=200, seed=4, vocabulary=20, length=5)
    first, second = oracle_corpus(options), oracle_corpus(options)
    assert first.train == second.train
    other = oracle_corpus(OracleOptions(size=200, seed=5, vocabulary=20, length=5))
    assert first.process is not None and other.process is not None
    assert first.process.log_prob(first.test) != other.process.log_prob(first.test)


def test_weights_that_are_no_oracle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(DataError, match=r"^there is no file .*weights\.safetensors; check --corpus\.weights$"):
        Oracle.load(path, 3)
    path.write_bytes(b"not weights")
    with pytest.raises(
        DataError, match=r"weights\.safetensors is no safetensors file \(.*\); check --corpus\.weights$"
    ):
        Oracle.load(path, 3)

    def refusal(changes: dict[str, torch.Tensor], without: str = "") -> str:
        tensors = {name: tensor for name, tensor in tiny_oracle().weights.items() if name != without}
        safetensors.torch.save_file(tensors | changes, path)
        with pytest.raises(DataError) as caught:
            Oracle.load(path, 3)
        return str(caught.value).removeprefix(f"{path} holds no oracle: ").partition(";")[0]

    assert refusal({"more": torch.zeros(1)}, without="bias") == "bias is missing, more is unknown"
    assert refusal({"bias": torch.zeros(32)}) == "bias is (32,), wanted (128,)"
    assert refusal({"bias": torch.full((128,), math.nan)}) == "bias is not finite floats"
    assert refusal({"embedding": torch.zeros(3)}) == "embedding and output.weight do not both have two dimensions"


@pytest.fixture(params=[2**20, 0], ids=["in memory", "kept"])
def cached(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The cache of the test. Files are read into memory, as small ones are, or through the cache, as large ones."""
    monkeypatch.setattr(text_files, "LARGE", request.param)
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


SENTENCES = [f"sentence number {i} ." for i in range(200)]


def contents(corpus: Corpus) -> list[str]:
    return sorted([*corpus.train, *corpus.validation, *corpus.test])


def load(path: Path, data: str | bytes, column: str = "text") -> Corpus:
    raw = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return file_corpus(FileOptions(path=str(path), column=column))


def as_csv(column: str = "text") -> str:
    return "\n".join([f"id,{column}", *(f'{i},"{text}"' for i, text in enumerate(SENTENCES))])


def as_jsonl(key: str = "text") -> str:
    return "\n".join(f'{{"id": 1, "{key}": "{text}"}}' for text in SENTENCES)


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "data"),
    [("a.txt", "\n".join(SENTENCES)), ("a.csv", as_csv()), ("a.jsonl", as_jsonl()), ("a.ndjson", as_jsonl() + "\n")],
)
def test_every_kind_of_file_gives_its_sentences(tmp_path: Path, name: str, data: str, suffix: str) -> None:
    corpus = load(tmp_path / (name + suffix), data)
    assert contents(corpus) == sorted(SENTENCES)
    assert corpus.notes == ()


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("name", "data"), [("a.csv", as_csv("title")), ("a.jsonl", as_jsonl("title"))])
def test_the_column_is_chosen_by_name(tmp_path: Path, name: str, data: str) -> None:
    assert contents(load(tmp_path / name, data, column="title")) == sorted(SENTENCES)


@pytest.mark.usefixtures("cached")
def test_standard_input_is_read_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(SENTENCES).encode())))
    assert contents(file_corpus(FileOptions(path="-"))) == sorted(SENTENCES)


@pytest.mark.usefixtures("cached")
def test_marks_line_ends_and_white_space_are_no_part_of_a_sentence(tmp_path: Path) -> None:
    data = "\ufeff" + "\r\n".join(f"  {text}\t" for text in SENTENCES)
    assert contents(load(tmp_path / "a.txt", data)) == sorted(SENTENCES)


@pytest.mark.usefixtures("cached")
def test_line_breaks_inside_a_value_become_spaces(tmp_path: Path) -> None:
    data = as_csv().replace(" number ", "\nnumber ")
    assert contents(load(tmp_path / "a.csv", data)) == sorted(SENTENCES)


@pytest.mark.usefixtures("cached")
def test_blank_lines_and_repeats_are_told(tmp_path: Path) -> None:
    corpus = load(path := tmp_path / "a.txt", "\n\n".join([*SENTENCES, *SENTENCES[:50]]))
    assert corpus.notes == (
        f"{path}: 249 blank lines skipped",
        f"{path}: 50 of 250 sentences (20.0%) repeat another",
    )


@pytest.mark.usefixtures("cached")
def test_large_numbers_have_separators(tmp_path: Path) -> None:
    corpus = load(path := tmp_path / "a.txt", "\n\n".join(SENTENCES * 10))
    assert corpus.notes == (
        f"{path}: 1,999 blank lines skipped",
        f"{path}: 1,800 of 2,000 sentences (90.0%) repeat another",
    )


REFUSALS = [
    ("a.txt", b"", "{} is empty; give a file with one sentence a line"),
    ("a.txt", b"\n \n\t\n", "{} has only blank lines; give a file with one sentence a line"),
    ("a.txt", b"text\0more", "{} has NUL bytes, so it is binary or UTF-16; give text in UTF-8"),
    ("a.txt", b"one\ntwo\ncaf\xe9\n", "{}, line 3 is not UTF-8; convert the file to UTF-8"),
    (
        "a.txt",
        b"one line\n",
        "{} has too few different sentences (1) to set some aside for validation and testing; give at least 100",
    ),
    (
        "a.csv",
        b"id,txt\n1,hello\n",
        "there is no column of {} 'text'; did you mean 'txt'? it has id, txt; name one with --corpus.column",
    ),
    (
        "a.csv",
        b"text\n" + b"x" * 200_000,
        "{}, line 2 is not CSV: field larger than field limit (131072); mend the line",
    ),
    (
        "a.jsonl",
        b'{"text": "fine"}\n\n{"text": \n',
        "{}, line 3 is not JSON: Expecting value: line 1 column 10 (char 9); mend the line",
    ),
    ("a.jsonl", b"[1]\n", "{}, line 1 is a JSON list; wanted an object with the key 'text'"),
    (
        "a.jsonl",
        b'{"title": "x"}\n',
        "there is no key of {}, line 1 'text'; it has title; name one with --corpus.column",
    ),
    (
        "a.jsonl",
        b'{"text": 3}\n',
        "{}, line 1 has a value under 'text' that is not text; give a string of valid Unicode",
    ),
    (
        "a.jsonl",
        b'{"text": "\\ud800"}\n',
        "{}, line 1 has a value under 'text' that is not text; give a string of valid Unicode",
    ),
]


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("name", "data", "message"), REFUSALS)
def test_what_cannot_be_read_is_refused_by_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises((DataError, UnknownName)) as caught:
        load(tmp_path / name, data)
    assert str(caught.value) == message.format(tmp_path / name)


@pytest.mark.usefixtures("cached")
def test_json_nested_too_deep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1 is not JSON: maximum recursion depth exceeded"):
        load(tmp_path / "a.jsonl", "[" * 200_000)


def refusal(path: str) -> str:
    with pytest.raises(GanlmError) as caught:
        file_corpus(FileOptions(path=path))
    assert isinstance(caught.value, DataError | OptionError)
    return str(caught.value)


@pytest.mark.usefixtures("cached")
def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    assert refusal("") == "the corpus 'file' has no path; name a file with --data FILE"
    missing = tmp_path / "missing.txt"
    assert refusal(str(missing)) == f"there is no file {missing}; check the path"
    assert refusal(str(tmp_path)) == f"{tmp_path} is a folder; name one file in it"
    cut = tmp_path / "cut.txt.gz"
    cut.write_bytes(gzip.compress(b"text " * 100)[:-10])
    expected = f"{cut} is no whole gzip file (Compressed file ended before the end-of-stream marker was reached)"
    assert refusal(str(cut)) == f"{expected}; pack it again"
    cut.write_bytes(b"plain text")
    assert refusal(str(cut)).startswith(f"{cut} is no whole gzip file (Not a gzipped file")


def test_bytes_that_are_wrong_are_found_by_line_in_any_chunk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(text_files, "CHUNK", 4)
    for data, line in ((b"one\ntwo\n\xe9ree\n", 3), ("né\n".encode() * 9 + b"caf\xc3", 10), (b"a\n\n\xc3\n\xff", 3)):
        with pytest.raises(DataError, match=rf", line {line} is not UTF-8; convert the file to UTF-8$"):
            load(tmp_path / "a.txt", data)
    # What is binary is told as such, wherever its zeros are.
    with pytest.raises(DataError, match=r" has NUL bytes, so it is binary or UTF-16; give text in UTF-8$"):
        load(tmp_path / "a.txt", b"caf\xe9\n" * 9 + b"\0")


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("\n".join(SENTENCES),))
    writer.start()
    assert contents(file_corpus(FileOptions(path=str(pipe)))) == sorted(SENTENCES)
    writer.join()


KINDS_OF_FILES = {
    "a.txt": "\r\n".join([*SENTENCES, "", "  two\x0bparts\u2028of one line  ", *SENTENCES[:9]]),
    "a.csv": as_csv() + "\nid,\n" + '7,"in two\nlines"\n7,"in two\nlines"\n',
    "a.jsonl": as_jsonl() + '\n\n{"text": "naïve café 日本"}\n',
}


@pytest.mark.parametrize("name", KINDS_OF_FILES)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_corpus_in_the_cache_is_the_one_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, suffix: str
) -> None:
    """Parts, their order and notes; and it is not read again."""
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    in_memory = load(path := tmp_path / (name + suffix), KINDS_OF_FILES[name])
    assert in_memory.cache is None and not (tmp_path / "cache").exists()
    monkeypatch.setattr(text_files, "LARGE", 0)
    first = file_corpus(FileOptions(path=str(path)))
    monkeypatch.delattr(text_files, "write_splits")
    second = file_corpus(FileOptions(path=str(path)))
    assert first.cache == second.cache == next((tmp_path / "cache" / "corpora").glob("*/SHA256SUMS")).parent
    for corpus in (first, second):
        assert corpus.notes == in_memory.notes != ()
        for part in ("train", "validation", "test"):
            assert isinstance(getattr(corpus, part), Lines)
            assert list(getattr(corpus, part)) == getattr(in_memory, part)


def test_other_text_or_another_column_is_another_corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(text_files, "LARGE", 0)
    both = "id,text,title\n" + "\n".join(f'{i},"{text}","title {text}"' for i, text in enumerate(SENTENCES))
    found = [
        load(tmp_path / "a.csv", both),
        load(tmp_path / "a.csv", both, column="title"),
        load(tmp_path / "a.txt", both),
        load(tmp_path / "a.txt", both + "\nmore"),
    ]
    assert len({corpus.cache for corpus in found}) == len({len(corpus.train[0]) for corpus in found[:3]}) + 1 == 4
    # The same text under another name is the same one, unpacked or not, and told by its name.
    again = load(tmp_path / "b.log.gz", both)
    assert (again.cache, again.name) == (found[2].cache, str(tmp_path / "b.log.gz"))


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(text_files, "LARGE", 0)
    corpus = load(tmp_path / "a.txt", "\n".join(SENTENCES))
    assert contents(corpus) == sorted(SENTENCES)
    assert corpus.cache is None
    (note,) = corpus.notes
    assert re.sub("[0-9a-f]{32}", "KEY", note) == (
        f"cannot write {tmp_path}/file/corpora/KEY: Not a directory; "
        "a part of the path is a file, choose another place; the data are held in memory instead"
    )


def test_a_file_that_grows_while_it_is_read_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(text_files, "LARGE", 0)
    path = tmp_path / "a.txt"

    def grow(folder: Path, texts: Iterable[str]) -> list[mapped_lines.Sizes]:
        sizes = write_splits(folder, texts)
        with path.open("a") as file:
            file.write("\nmore")
        return sizes

    monkeypatch.setattr(text_files, "write_splits", grow)
    with pytest.raises(DataError) as caught:
        load(path, "\n".join(SENTENCES))
    assert str(caught.value) == f"{path} changed while it was read; run again when nothing writes to it"
    assert not [*tmp_path.glob("cache/corpora/*/SHA256SUMS")]


def test_lines_are_a_sequence_of_sentences(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = [f"naïve {i % 150} 日本" for i in range(400)]
    sizes = write_splits(tmp_path, texts)
    assert (sum(size.total for size in sizes), sum(size.different for size in sizes)) == (400, 150)
    found, expected = Lines(tmp_path, "train"), list(split("", texts).train)
    for together in (1, 7, 1000):
        monkeypatch.setattr(mapped_lines, "TOGETHER", together)
        assert list(found) == expected
    n = len(expected)
    assert len(found) == n > 300
    assert [found[0], found[17], found[-1], found[-n]] == [expected[0], expected[17], expected[-1], expected[0]]
    for part in (slice(3, 9), slice(9, 3), slice(None, None, 7), slice(None, None, -1), slice(-5, None)):
        assert found[part] == expected[part]
    for place in (n, -n - 1):
        with pytest.raises(IndexError):
            found[place]
    strange = [*split("", texts).test, "naïve", "", "naïve 0 日本 ."]
    for known in (found, lookup(found), lookup(expected)):
        assert all(text in known for text in expected)
        assert "  nai\u0308ve\t0\x1f日本 " in known  # with the same words in the same form
        assert not any(text in known for text in strange)
    assert 7 not in found


def test_files_of_sentences_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(["one", "", "two", "one"]))
    assert read_sentences(str(tmp_path / "a.txt")) == (["one", "two", "one"], 1)
