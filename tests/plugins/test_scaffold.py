"""``ganlm plugins new``: what it writes passes the linter, its own tests and the checks, and trains."""

import sys
import tomllib
from pathlib import Path

import pytest

from ganlm_core.components import KINDS
from ganlm_core.plugins.host import Host
from ganlm_core.plugins.scaffold import SUMMARIES, USES, create, render
from tests.conftest import Ganlm
from tests.environments import ROOT, call


def test_there_is_a_template_for_every_kind() -> None:
    assert SUMMARIES.keys() == USES.keys() == set(KINDS)
    for kind in KINDS:
        files = dict(render("a-b", kind))
        assert {"pyproject.toml", "README.md", "LICENSE", ".gitignore", ".github/workflows/test.yml"} < files.keys()
        assert {"a_b/__init__.py", "tests/test_a_b.py"} < files.keys()
        project = tomllib.loads(files["pyproject.toml"])
        assert project["project"]["entry-points"]["ganlm"] == {"a-b": "a_b"}
        assert all(text.endswith("\n") and not text.endswith("\n\n") for text in files.values())


def test_new_projects_have_the_linter_settings_of_this_one() -> None:
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    new = tomllib.loads(dict(render("a-b", "loss"))["pyproject.toml"])["tool"]["ruff"]
    assert (new["line-length"], new["target-version"]) == (own["line-length"], own["target-version"])
    assert new["lint"]["select"] == own["lint"]["select"]


@pytest.mark.parametrize("name", ["x", "a-name-that-is-as-long-as-any-name-that-a-user-may-want"])
def test_the_new_files_pass_the_linter(tmp_path: Path, name: str) -> None:
    pytest.importorskip("ruff")
    for kind in KINDS:
        create(Host(), name, kind, tmp_path / kind)
    for words in (["check"], ["format", "--check"]):
        call(sys.executable, "-m", "ruff", *words, "--no-cache", ".", cwd=tmp_path)


def test_the_command_prints_the_files_and_the_next_steps(ganlm: Ganlm, tmp_path: Path) -> None:
    code, out, err = ganlm("plugins", "new", "my-gru", "--kind", "generator")
    assert code == 0
    assert out.split() == [str(path.relative_to(tmp_path)) for path in map(tmp_path.joinpath, out.split())]
    assert (tmp_path / "my-gru" / "my_gru" / "networks.py").is_file() and "my-gru/my_gru/networks.py" in out.split()
    assert err == ("test it: cd my-gru && pip install -e . && pytest\nuse it: ganlm run --gen my-gru --disc conv\n")


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        (
            "my-gru",
            "generater",
            "there is no kind 'generater'; did you mean 'generator'? the kinds are generator, discriminator, "
            "algorithm, loss, penalty, estimator, corpus, metric, encoder, reward",
        ),
        (
            "My_GRU",
            "generator",
            "'My_GRU' is not a valid name; use lower-case letters, digits and hyphens, a letter first",
        ),
        ("lstm", "generator", "generator 'lstm' of ganlm 0.1.0 already exists; choose another name"),
        ("json", "metric", "Python already has a module or keyword 'json'; choose another name"),
        ("lambda", "metric", "Python already has a module or keyword 'lambda'; choose another name"),
        ("there", "metric", "there already exists; choose another name or --out"),
    ],
)
def test_an_invalid_name_is_refused(ganlm: Ganlm, tmp_path: Path, name: str, kind: str, message: str) -> None:
    (tmp_path / "there").mkdir()
    assert ganlm("plugins", "new", name, "--kind", kind) == (2, "", f"ganlm: error: {message}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
