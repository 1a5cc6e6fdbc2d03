"""docs/data.md has the numbers of the code."""

from ganlm_core.config import small_text
from ganlm_core.data import corpus, text_files
from ganlm_core.data.batches import LARGEST
from ganlm_core.data.options import FileOptions
from ganlm_core.evaluation import evaluate, report
from tests.environments import ROOT

PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_page_has_the_numbers_of_the_code() -> None:
    assert f"`copied-span`, `lm-score` | {corpus.SAMPLE:,} |" in PAGE
    assert f"frequencies of the unigram row | {evaluate.MOST_REFERENCES:,} |" in PAGE
    assert f"neighbours of the samples in the report | {report.COMPARED:,} |" in PAGE
    assert f"With more than {LARGEST:,} training sentences" in PAGE
    assert f"Files of less than {text_files.LARGE // 2**20} MiB" in PAGE


def test_the_page_has_the_bounds_of_the_options() -> None:
    for name in ("max_line", "max_size", "max_sentences"):
        default = FileOptions.field(name, "corpus 'file'").default
        assert f"| {default:,} | `--corpus.{name.replace('_', '-')}` |" in PAGE
    assert f"more than {small_text.MOST_EPOCHS} epochs" in PAGE
