"""The built-in corpora, registered in the way of every plugin."""

from collections.abc import Iterator

from ganlm_core.components import ComponentSpec
from ganlm_core.data.options import FileOptions, GrammarOptions, OracleOptions, PasswordsOptions
from ganlm_core.hookspecs import hookimpl

CORPORA = (
    ComponentSpec(
        "corpus",
        "grammar",
        "ganlm_core.data.grammar:grammar_corpus",
        GrammarOptions,
        "English sentences with number agreement; exact likelihood",
    ),
    ComponentSpec(
        "corpus",
        "passwords",
        "ganlm_core.data.passwords:passwords_corpus",
        PasswordsOptions,
        "words with digits, years or signs, for --tokenizer char; exact likelihood",
    ),
    ComponentSpec(
        "corpus",
        "oracle",
        "ganlm_core.data.oracle:oracle_corpus",
        OracleOptions,
        "random LSTM; exact likelihood",
        "Yu et al. 2017, section 4.1",
        exceptions={"check_smallest": "two words of length one make two sentences, too few for three splits"},
    ),
    ComponentSpec(
        "corpus",
        "file",
        "ganlm_core.data.text_files:file_corpus",
        FileOptions,
        "your own text, CSV, TSV, JSON or JSONL",
        exceptions={
            "check_defaults": "it reads a file that the user names",
            "check_smallest": "its integers are bounds on the file: one byte is no text",
        },
    ),
)


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield from CORPORA
