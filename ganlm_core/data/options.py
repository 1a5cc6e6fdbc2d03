"""Options of the built-in corpora and of the tokenizers, and the limits and names that all corpora share."""

from ganlm_core.components import AUTO, Options, option

SPLITS = ("train", "validation", "test")

MOST_LABELS = 1_000
"""Categories at most: each is a word of the discriminator and a number beside the noise."""

MOST_SENTENCES = 100_000_000
"""Sentences that a built-in corpus draws at most, because it keeps them in memory."""

MOST_TOKENS = 10_000_000
"""Tokens of a vocabulary at most; the tokenizer.json of a larger one would not fit into a bundle."""


class GrammarOptions(Options):
    size: int = option(20_000, "sentences drawn: 90% train, 5% validation, 5% test", min=100, max=MOST_SENTENCES)
    seed: int = option(0, "random seed of the sentences", min=0, max=2**63 - 1)
    label: str = option(
        "none",
        "label of each sentence: none, or the number of its subject (singular, plural)",
        choices=("none", "number"),
    )


class PasswordsOptions(Options):
    size: int = option(20_000, "passwords drawn: 90% train, 5% validation, 5% test", min=100, max=MOST_SENTENCES)
    seed: int = option(0, "random seed of the passwords", min=0, max=2**63 - 1)


class OracleOptions(Options):
    size: int = option(10_000, "sequences drawn: 90% train, 5% validation, 5% test", min=100, max=MOST_SENTENCES)
    seed: int = option(0, "random seed of the weights and of the sequences", min=0, max=2**63 - 1)
    weights: str = option("", "safetensors file with the weights of an oracle, instead of random ones")
    vocabulary: int = option(5000, "words of an oracle with random weights", min=2)
    length: int = option(20, "tokens in every sequence", min=1)
    fixed_length: bool = option(
        False, "the sequences of the literature: exactly --corpus.length of all words of the oracle, without <eos>"
    )
    test_size: int = option(
        0,
        "fresh sequences to test, beside --corpus.size to train and a twentieth to validate; 0: 5% of --corpus.size",
        min=0,
        max=MOST_SENTENCES,
    )


class FileOptions(Options):
    path: str = option("", "text file (one sentence per line), CSV, TSV, JSON or JSONL; - for standard input")
    column: str = option("text", "column of a CSV or TSV file, key of a JSON or JSONL file")
    label: str = option("", "column or key of the label of each text, a category that the model then writes on demand")
    prompt: str = option("", "column or key of the beginning of each text, which is given and not learned")
    fixed_length: bool = option(False, "every sentence has the same number of tokens, without <eos>")
    max_line: int = option(2**20, "most characters in a line, or in one value of a CSV or JSON file", min=1)
    max_size: int = option(2**34, "most bytes of text in the file, after unpacking", min=1)
    max_sentences: int = option(MOST_SENTENCES, "most sentences in the file", min=1)


class TokenizerOptions(Options):
    """Options of every tokenizer."""

    vocabulary: int = option(2000, "vocabulary size at most, special tokens included", min=5, max=MOST_TOKENS)
    max_length: int = option(
        AUTO, "maximum sequence length (T) in tokens, <eos> included; 0: the longest in the data, up to 64", min=0
    )


class WordTokenizer(TokenizerOptions):
    vocabulary: int = option(
        10_000, "vocabulary size at most, special tokens included; rarer words become <unk>", min=5, max=MOST_TOKENS
    )


class CharTokenizer(TokenizerOptions):
    vocabulary: int = option(
        512, "vocabulary size at most, special tokens included; others become <unk>", min=5, max=MOST_TOKENS
    )
    max_length: int = option(
        AUTO, "maximum sequence length (T) in characters, <eos> included; 0: the longest in the data, up to 64", min=0
    )


class BPETokenizer(TokenizerOptions):
    """Rare words are byte pairs too, so the help says nothing of ``<unk>``."""


class SmilesTokenizer(TokenizerOptions):
    vocabulary: int = option(
        512, "vocabulary size at most, special tokens included; rarer atoms become <unk>", min=5, max=MOST_TOKENS
    )


TOKENIZERS: dict[str, type[Options]] = {
    "word": WordTokenizer,
    "char": CharTokenizer,
    "bpe": BPETokenizer,
    "smiles": SmilesTokenizer,
}
