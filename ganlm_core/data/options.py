"""Options of the built-in corpora and of the tokenizers."""

from ganlm_core.components import AUTO, Options, option


class GrammarOptions(Options):
    size: int = option(20_000, "sentences drawn; nine tenths train, the rest validate and test", min=100)
    seed: int = option(0, "seed of the drawing", min=0)


class PasswordsOptions(Options):
    size: int = option(20_000, "passwords drawn; nine tenths train, the rest validate and test", min=100)
    seed: int = option(0, "seed of the drawing", min=0)


class OracleOptions(Options):
    size: int = option(10_000, "sequences drawn; nine tenths train, the rest validate and test", min=100)
    seed: int = option(0, "seed of the weights and of the drawing", min=0)
    weights: str = option("", "safetensors file with somebody's oracle, instead of drawn weights")
    vocabulary: int = option(5000, "words of a drawn oracle", min=2)
    length: int = option(20, "tokens in every sequence", min=1)


class FileOptions(Options):
    path: str = option("", "text (a sentence a line), CSV or JSONL; - for standard input")
    column: str = option("text", "column of a CSV file, key of a JSONL file")


class WordTokenizer(Options):
    vocabulary: int = option(10_000, "most words kept, special ones included; the rest become <unk>", min=5)
    max_length: int = option(
        AUTO, "most tokens in a sequence (T), <eos> included; 0: the longest in the data, 64 at most", min=0
    )


class CharTokenizer(Options):
    vocabulary: int = option(512, "most characters kept, special tokens included; the rest become <unk>", min=5)
    max_length: int = option(
        AUTO, "most characters in a sequence (T), <eos> included; 0: the longest in the data, 64 at most", min=0
    )


class BPETokenizer(Options):
    vocabulary: int = option(2000, "size of the vocabulary, special tokens included", min=5)
    max_length: int = option(
        AUTO, "most tokens in a sequence (T), <eos> included; 0: the longest in the data, 64 at most", min=0
    )


TOKENIZERS: dict[str, type[Options]] = {"word": WordTokenizer, "char": CharTokenizer, "bpe": BPETokenizer}
