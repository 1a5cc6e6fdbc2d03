"""The exercise sheet: every command on it works, with runs made short."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import Ganlm
from tests.environments import ROOT
from tests.whole.serving import served

SHEET = (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8")
SHORT = ["--steps", "3", "--corpus.size", "300", "--evaluation-samples", "20"]


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", SHEET, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def shortened(words: list[str]) -> list[str]:
    if words[0] == "eval":
        return [*words, "-n", "10"]
    if words[0] != "run":
        return words
    own = SHORT[2:] if "--steps" not in words else []
    return [*words, *(SHORT[:2] + own if "--data" not in words else SHORT[:2] + SHORT[4:]), "--device", "cpu"]


def test_every_command_of_the_sheet_works(ganlm: Ganlm, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("".join(f"the {i % 37} songs of {i % 91} days\n" for i in range(400)))
    assert len(commands()) == 8
    for program, *words in commands():
        assert program == "ganlm"
        if words[0] == "serve":
            continue
        code, _, err = ganlm(*shortened(words))
        assert code == 0, f"{shlex.join(words)}: {err}"


@pytest.mark.parametrize("words", [words[1:] for words in commands() if words[1] == "serve"], ids=shlex.join)
def test_the_servers_of_the_sheet_start(words: list[str], tmp_path: Path) -> None:
    with served(*words[1:], cwd=tmp_path) as (url, *_):
        assert url.startswith("http://127.0.0.1:")


def test_the_sheet_and_the_page_for_the_class_name_each_other() -> None:
    page = (ROOT / "docs" / "what-is-a-gan.md").read_text(encoding="utf-8")
    assert "(exercises.md)" in page and "(what-is-a-gan.md)" in SHEET
    for picture in re.findall(r"\]\((images/[^)]+)\)", page):
        assert (ROOT / "docs" / picture).is_file()
