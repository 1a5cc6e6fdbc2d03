"""The numbers in docs/data.md are those in the code."""

from pathlib import Path

from ganlm_core import corpora, report, rows, trainer
from ganlm_core.corpora import files

PAGE = (Path(__file__).parent.parent / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_page_has_the_numbers_of_the_code() -> None:
    assert f"`copied-span`, `lm-score` | {corpora.SAMPLE:,} |" in PAGE
    assert f"frequencies of the unigram row | {rows.REFERENCES:,} |" in PAGE
    assert f"neighbours of the samples in the report | {report.COMPARED:,} |" in PAGE
    assert f"Of more than {trainer.LARGEST:,} training sentences" in PAGE
    assert f"Files of less than {files.LARGE // 2**20} MiB" in PAGE
