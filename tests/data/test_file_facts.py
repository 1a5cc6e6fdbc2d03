"""Notes on text files: what was left out, joined, or not read."""

from pathlib import Path
from typing import Any

import pytest

from ganlm_core.data import text_files
from ganlm_core.data.corpus import Corpus
from ganlm_core.data.file_facts import FileFacts
from ganlm_core.data.formats import Record
from ganlm_core.data.options import FileOptions
from ganlm_core.data.text_files import file_corpus

NUMBERS = range(200)


@pytest.fixture(params=["in memory", "in the cache"], autouse=True)
def _cached(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    if request.param == "in the cache":
        monkeypatch.setattr(text_files, "LARGE", 0)


def load(path: Path, lines: list[str], **options: Any) -> Corpus:
    path.write_text("\n".join(lines))
    return file_corpus(FileOptions(path=str(path), **options))


def test_a_quotation_mark_that_is_not_closed_joins_rows_and_is_told(tmp_path: Path) -> None:
    rows = ["id,text", *(f"{number},row {number}" for number in NUMBERS)]
    rows[11], rows[14] = '10,"row 10', '13,row 13"'
    corpus = load(path := tmp_path / "a.csv", rows)
    assert corpus.notes == (
        f"{path}: 1 sentences have line breaks, which became spaces; if they should have none, look for a quotation "
        "mark that is not closed",
    )
    assert "row 10 11,row 11 12,row 12 13,row 13" in {*corpus.train, *corpus.validation, *corpus.test}


def test_texts_that_follow_their_prompt_without_a_space_are_told(tmp_path: Path) -> None:
    rows = ["prompt,completion", *(f"the dog,{'' if number < 5 else ' '}runs {number}" for number in NUMBERS)]
    corpus = load(path := tmp_path / "a.csv", rows)
    assert corpus.notes == (
        f"{path}: 5 texts follow their prompt without a space; if a new word begins there, start the text with a space",
    )


@pytest.mark.parametrize(
    ("columns", "flags"),
    [("completion,prompt", "completion --corpus.prompt prompt"), ("completion,id", "completion")],
)
def test_a_completion_beside_the_text_is_told(tmp_path: Path, columns: str, flags: str) -> None:
    path = tmp_path / "a.csv"
    rows = [f"text,{columns}", *(f"text {number},more {number},the" for number in NUMBERS)]
    assert load(path, rows).notes == (
        f"{path} has a column 'completion' beside 'text', which is read; --corpus.column {flags} reads the other",
    )
    assert load(path, rows, column="completion").notes == ()


def test_a_column_of_plain_text_is_told(tmp_path: Path) -> None:
    corpus = load(path := tmp_path / "a.txt", [f"text {number}" for number in NUMBERS], column="smiles")
    assert corpus.notes == (f"{path} is plain text, which has no columns; --corpus.column has no effect on it",)


def test_blank_records_count_for_nothing_else() -> None:
    facts = FileFacts()
    facts.add(Record("\n", prompt="the dog"), blank=True)
    assert facts == FileFacts(blank=1)
