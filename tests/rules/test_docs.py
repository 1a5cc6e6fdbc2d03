"""The README is run: its plugin, its Python and its commands; and all links of the docs exist."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from ganlm_core.cli import main
from ganlm_core.plugins.commands import COMMANDS
from ganlm_core.plugins.host import default_host
from tests.environments import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TINY = ["--steps", "3", "--corpus.size", "300", "--evaluation-samples", "20"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def plugin_file(folder: Path) -> Path:
    (source,) = [block for block in blocks("python") if "hookimpl" in block]
    path = folder / "my_loss.py"
    path.write_text(source)
    return path


def test_the_plugin_of_the_readme_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    (command,) = [line for block in blocks("sh") for line in block.splitlines() if "--plugin" in line]
    arguments = shlex.split(command)[1:]
    assert main([*arguments, *TINY, "--out", "run"]) == 0, capsys.readouterr().err
    assert "bundle: run/bundle" in capsys.readouterr().out


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", *TINY]) == 0
    assert Path("runs/lstm-conv-grammar-1/bundle").is_dir()
    Path("my.txt").write_text("\n".join(f"sentence number {n}" for n in range(300)))
    (source,) = [block for block in blocks("python") if "ganlm_core.load" in block]
    Path("readme.py").write_text(source.replace("steps=2000", "steps=3, evaluation_samples=20"))
    names = runpy.run_path("readme.py")
    assert len(names["model"].sample(20)) == 20


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


PATH = re.compile(r"(?<![\w/.-])(?:benchmarks|docs|examples|ganlm_core|plugins|tests)/[\w./-]*\w")
WRITTEN_ELSEWHERE = {"docs/performance-cuda.md"}
"""Files that a script writes on another machine."""


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_files_that_the_docs_name_exist(page: Path) -> None:
    """A path starts at the repository or, for rooms, at ganlm_core."""
    text = " ".join(re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")))
    named = {path for path in PATH.findall(text) if "NAME" not in path and "<" not in path} - WRITTEN_ELSEWHERE
    places = (ROOT, ROOT / "ganlm_core")
    assert [path for path in sorted(named) if not any((place / path).exists() for place in places)] == []


def test_the_readme_names_every_command_and_no_other() -> None:
    named = set(re.findall(r"\bganlm ([a-z]+)", README))
    assert named <= COMMANDS.keys()
    assert COMMANDS.keys() - named <= {"show", "recipes"}


NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


@pytest.mark.parametrize(
    ("kind", "title"),
    [("generator", "generators"), ("discriminator", "discriminators"), ("loss", "losses"), ("estimator", "estimators")],
)
def test_the_readme_counts_the_components(kind: str, title: str) -> None:
    known = [name for name in default_host().specs(kind) if default_host().origin(kind, name)[0] == "ganlm"]
    counts = re.findall(rf"(\w+) (?:gradient )?{title}\b", README.lower())
    assert counts == [NUMBERS[len(known)]]


def test_the_plugin_of_the_readme_passes_the_conformance_checks(tmp_path: Path) -> None:
    from ganlm_core.plugins.host import Host
    from ganlm_core.testing import Case, run_checks

    spec = Host.discover([plugin_file(tmp_path)]).spec("loss", "my-margin")
    assert [result for result in run_checks(Case(spec)) if result.status == "failed"] == []
