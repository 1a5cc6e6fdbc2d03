import pytest
import tokenizers
import torch

from ganlm_core.data.options import TOKENIZERS
from ganlm_core.data.tokenizer import CHUNK, Tokenizer
from ganlm_core.errors import DataError, OptionError, UnknownName, UsageError
from ganlm_core.protocol import BOS, EOS, PAD, SPECIAL_TOKENS, UNK

TEXTS = ["the dog sees the cat .", "the cat sleeps .", "naïve café .", "日本 の 猫"]


def words(*texts: str, vocabulary: int = 100) -> Tokenizer:
    return Tokenizer.train("word", texts, vocabulary)


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    return tokenizer.decode(torch.arange(UNK + 1, tokenizer.vocabulary_size)[:, None])


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_decoding_gives_back_the_encoded_sentences(kind: str) -> None:
    tokenizer = Tokenizer.train(kind, TEXTS, 300)
    ids, cut = tokenizer.encode(TEXTS, max(tokenizer.lengths(TEXTS)))
    assert cut == 0
    assert ids.dtype == torch.int64
    assert ids.shape == (len(TEXTS), max(tokenizer.lengths(TEXTS)))
    assert ids.max() < tokenizer.vocabulary_size <= 300
    assert tokenizer.decode(ids) == TEXTS


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_characters_and_byte_pairs_keep_every_space(kind: str) -> None:
    texts = [" two  spaces ", "a\ttab", "   "]
    tokenizer = Tokenizer.train(kind, texts, 100)
    assert tokenizer.decode(tokenizer.encode(texts, 32)[0]) == texts


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("other", ["nai\u0308ve cafe\u0301 .", "naïve\u00a0café\x1f."])
def test_normal_form_and_white_space_do_not_make_other_words(kind: str, other: str) -> None:
    """The space of characters and byte pairs is the space of the text, so only the form is the same for them."""
    tokenizer, plain = Tokenizer.train(kind, TEXTS, 300), "naïve café ."
    if kind == "word" or "\u0308" in other:
        assert tokenizer.encode([other], 32)[0].equal(tokenizer.encode([plain], 32)[0])
        assert tokenizer.prompt(other).equal(tokenizer.prompt(plain))
        assert Tokenizer.train(kind, [other], 100).to_json() == Tokenizer.train(kind, [plain], 100).to_json()


def test_words_are_separated_as_they_are_for_the_metrics() -> None:
    tokenizer, separators = words("one two"), [chr(code) for code in range(0x110000) if chr(code).isspace()]
    texts = [f"{separator}one{separator}{separator}two{separator}" for separator in separators]
    assert tokenizer.encode(texts, 3)[0].tolist() == [[UNK + 1, UNK + 2, EOS]] * len(separators)
    joined = [f"one{chr(code)}two" for code in range(0x3100) if not chr(code).isspace()]
    assert set(tokenizer.lengths(joined)) == {2}


def test_the_most_frequent_words_are_kept_and_ties_go_by_alphabet() -> None:
    assert vocabulary(words("b a c a", "d c b", vocabulary=7)) == ["a", "b", "c"]
    assert vocabulary(words("d c b a", vocabulary=6)) == ["a", "b"]


def test_characters_are_code_points_by_frequency() -> None:
    assert vocabulary(Tokenizer.train("char", ["ab a", "猫a"], 100)) == ["a", " ", "b", "猫"]


def test_molecules_are_divided_into_atoms_bonds_branches_and_rings() -> None:
    text = "C[C@@H](Br)c1ccc(Cl)cc1N%12=O"
    tokenizer = Tokenizer.train("smiles", [text, "x y"], 100)
    pieces = [tokenizer.decode(ids[None, None])[0] for ids in tokenizer.prompt(text)]
    assert pieces == [
        "C", "[C@@H]", "(", "Br", ")", "c", "1", "c", "c", "c", "(", "Cl", ")", "c", "c", "1", "N", "%12", "=", "O"
    ]  # fmt: skip
    assert tokenizer.decode(tokenizer.encode([text], 30)[0]) == [text]
    assert tokenizer.decode(tokenizer.encode(["x y"], 30)[0]) == ["x y"]


def test_byte_pairs_merge_what_is_frequent() -> None:
    tokenizer = Tokenizer.train("bpe", ["low low low lower"], 20)
    assert tokenizer.lengths(["low"]) == [2]
    assert tokenizer.lengths(["wol"]) == [4]


def test_sentences_end_and_are_padded_or_cut() -> None:
    tokenizer = words("a b c")
    a, b, c = range(UNK + 1, UNK + 4)
    ids, cut = tokenizer.encode(["a", "a b", "a b c", "a b c a", ""], 3)
    assert ids.tolist() == [[a, EOS, PAD], [a, b, EOS], [a, b, c], [a, b, c], [EOS, PAD, PAD]]
    assert cut == 2
    assert tokenizer.lengths(["", "a b c"]) == [1, 4]


def test_unknown_words_are_shown_and_other_special_tokens_are_not() -> None:
    tokenizer = words("a b")
    a, b = UNK + 1, UNK + 2
    assert tokenizer.encode(["a zebra"], 3)[0].tolist() == [[a, UNK, EOS]]
    assert tokenizer.decode(torch.tensor([[BOS, a, UNK, b], [a, PAD, b, EOS], [EOS, a, b, PAD]])) == [
        "a <unk> b",
        "a b",
        "",
    ]


@pytest.mark.parametrize(
    ("kind", "prompts"),
    [
        ("word", ["the dog", "the", " the   dog "]),
        ("char", ["the do", "the ", "日本"]),
        ("bpe", ["the do", "the ", "naïv"]),
    ],
)
def test_a_prompt_is_the_beginning_of_a_sentence(kind: str, prompts: list[str]) -> None:
    tokenizer = Tokenizer.train(kind, TEXTS, 300)
    for prompt in prompts:
        ids = tokenizer.prompt(prompt)
        assert EOS not in ids
        assert tokenizer.decode(ids[None]) == [" ".join(prompt.split()) if kind == "word" else prompt]
    assert tokenizer.prompt("").shape == (0,)


@pytest.mark.parametrize(
    ("kind", "prompt", "unknown"),
    [
        ("word", "the zebra sees a zebra", "'zebra', 'a'"),
        ("word", "the <eos> <unk>", "'<eos>', '<unk>'"),
        ("char", "the yak", "'y', 'k'"),
        ("bpe", "the yak!", "'y', 'k', '!'"),
    ],
)
def test_a_prompt_names_what_it_does_not_know(kind: str, prompt: str, unknown: str) -> None:
    with pytest.raises(UsageError) as caught:
        Tokenizer.train(kind, TEXTS, 300).prompt(prompt)
    assert str(caught.value) == f"the vocabulary has no {unknown}; take other words for the prompt"


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_half_a_surrogate_pair_is_no_text(kind: str) -> None:
    """A shell passes bytes that are no UTF-8 as such."""
    tokenizer = Tokenizer.train(kind, TEXTS, 300)
    for use in (tokenizer.prompt, lambda text: tokenizer.encode(["the dog", text], 8)):
        with pytest.raises(DataError, match="a text is not valid Unicode; give text in UTF-8"):
            use("the \udcffdog")


def test_a_value_that_is_no_text_is_not_called_invalid_unicode() -> None:
    with pytest.raises(TypeError):
        Tokenizer.train("word", TEXTS, 300).encode([3], 8)  # type: ignore[list-item]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_special_tokens_in_the_text_are_text(kind: str) -> None:
    """Both where the tokenizer was trained on them and where it was not."""
    text = "a <eos> b <pad> <bos> c"
    for trained_on in ([text, "a b c"], ["a b c <eosbpad>"]):
        tokenizer = Tokenizer.from_json(Tokenizer.train(kind, trained_on, 100).to_json())
        (row,) = tokenizer.encode([text], 32)[0].tolist()
        assert row.index(EOS) == tokenizer.lengths([text])[0] - 1
        assert not {PAD, BOS} & set(row[: row.index(EOS)])
        shown = "a <unk> b <unk> <unk> c" if kind == "word" else text
        assert tokenizer.decode(torch.tensor([row])) == [shown]


def test_more_sentences_than_are_encoded_at_once_keep_their_order() -> None:
    texts = ["a", *["b"] * (CHUNK - 1), "c", "a"]
    ids, _ = words("a b c").encode(texts, 2)
    assert words("a b c").decode(ids) == texts


def test_no_sentences_are_no_rows() -> None:
    ids, cut = words("a").encode([], 5)
    assert (ids.shape, cut) == ((0, 5), 0)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_file_gives_the_same_tokenizer_and_the_same_bytes(kind: str) -> None:
    # Many ties, so that an order that is left to chance shows.
    texts = [f"{first}{second} {second}{first}" for first in "abcdefgh" for second in "ijklmnop"]
    text = Tokenizer.train(kind, texts, 90).to_json()
    assert all(Tokenizer.train(kind, texts, 90).to_json() == text for _ in range(5))
    again = Tokenizer.from_json(text)
    assert again.to_json() == text
    assert again.encode(texts, 16)[0].equal(Tokenizer.train(kind, texts, 90).encode(texts, 16)[0])


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_library_reads_the_file_and_adds_no_ids(kind: str) -> None:
    backend = tokenizers.Tokenizer.from_str(Tokenizer.train(kind, TEXTS, 300).to_json())
    assert backend.post_processor is None
    assert [backend.token_to_id(token) for token in SPECIAL_TOKENS] == [PAD, BOS, EOS, UNK]
    assert backend.decode(backend.encode("the cat sleeps .").ids) == "the cat sleeps ."


def test_an_unknown_kind_and_too_small_a_vocabulary_are_refused() -> None:
    with pytest.raises(UnknownName) as unknown:
        Tokenizer.train("words", TEXTS, 100)
    assert str(unknown.value) == "there is no tokenizer 'words'; did you mean 'word'? there are word, char, bpe, smiles"
    with pytest.raises(OptionError) as small:
        Tokenizer.train("bpe", ["abc", "abcd"], 7)
    assert str(small.value) == ("tokenizer bpe: vocabulary is 7; the special tokens and the bytes of the data take 8")


def test_a_tokenizer_that_no_bundle_takes_is_refused_before_training() -> None:
    with pytest.raises(OptionError) as caught:
        Tokenizer.train("word", ["a" * 2**22, "b" * 2**22], 10)
    assert str(caught.value) == (
        "the tokenizer has 8,389,830 bytes, and a bundle takes 8,388,608 at most; "
        "lower --tokenizer.vocabulary, or choose --tokenizer char"
    )


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_grown_tokenizer_knows_new_text_and_gives_old_text_its_old_ids(kind: str) -> None:
    old, new = ["a cat sees a dog", "a dog sees"], ["the zebra sees the zebra", "a yak", "<pad> zebra"]
    tokenizer = Tokenizer.train(kind, old, 200)
    grown = tokenizer.grown(new, 1000)
    assert grown.encode(old, 20)[0].equal(tokenizer.encode(old, 20)[0])
    assert (tokenizer.encode(new[:2], 30)[0] == UNK).any() and not (grown.encode(new[:2], 30)[0] == UNK).any()
    assert grown.decode(grown.encode(new[:2], 30)[0]) == new[:2]
    assert Tokenizer.from_json(grown.to_json()).to_json() == grown.to_json()
    size = tokenizer.vocabulary_size
    assert tokenizer.grown(new, size + 1).vocabulary_size == size + 1
    assert tokenizer.grown(new, size - 1).to_json() == tokenizer.grown(old, 1000).to_json() == tokenizer.to_json()


def test_new_words_come_by_frequency_then_in_alphabetical_order() -> None:
    grown = Tokenizer.train("word", ["a b"], 100).grown(["d c d b", "e"], 8)
    assert grown.decode(torch.tensor([[6, 7, 2]])) == ["d c"]
