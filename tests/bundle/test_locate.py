"""Where a bundle is: folders, runs, and folders of links."""

import shutil
from pathlib import Path

import pytest

from ganlm_core.bundle import load, zoo
from ganlm_core.bundle.locate import locate, short_names
from ganlm_core.errors import UnknownName, WeightsError
from ganlm_core.training.run_folder import RunFolder
from tests.bundles import refused

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_run_folder_stands_for_its_bundle(saved, host, tmp_path):
    run = RunFolder.make(tmp_path / "run", "name")
    (run.path / "config.toml").touch()
    with pytest.raises(WeightsError, match=f"{run.path} is a run without a bundle; make one: ganlm weights export"):
        load.load(run.path, host)
    shutil.copytree(saved, run.bundle)
    assert load.load(run.path, host).sample(3) == load.load(saved, host).sample(3)


def test_a_folder_without_a_bundle(tmp_path, host):
    message = refused(tmp_path / "none", host)
    assert message == f"there is no bundle at {tmp_path}/none; give a folder that has a config.json, or a run"


def test_a_bundle_of_the_zoo():
    assert locate("zoo:lstm.mle-grammar") == zoo.FOLDER / "lstm.mle-grammar"
    with pytest.raises(UnknownName, match=r"there is no bundle 'lstm\.mle' in the zoo"):
        locate("zoo:lstm.mle")


@pytest.mark.parametrize("name", ["lstm.mle-grammar", "LSTM.mle-gramar"])
def test_a_bundle_of_the_zoo_without_its_prefix_is_suggested(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError) as caught:
        locate(name)
    assert str(caught.value) == f"there is no bundle at {name}; did you mean 'zoo:lstm.mle-grammar'?"
    Path(name).mkdir()
    with pytest.raises(WeightsError, match="give a folder that has a config"):
        locate(name)


def links_to(blobs, folder):
    folder.mkdir(parents=True)
    for path in blobs.iterdir():
        (folder / path.name).symlink_to(Path("..") / ".." / blobs.name / path.name)
    return folder


def test_a_folder_of_links_says_how_to_use_it(copy, host, tmp_path):
    """The Hub's own client leaves such folders in its cache."""
    folder = links_to(copy, tmp_path / "snapshots" / "my bundle")
    assert refused(folder, host) == (
        f"{folder}/README.md is a symbolic link; a bundle holds plain files only; use hf:OWNER/NAME@REVISION if they "
        f"are of the Hub's cache, or copy what they point to: cp -rL '{folder}' COPY"
    )


def test_a_snapshot_in_the_hubs_cache_says_its_address(copy, host, tmp_path):
    repository = tmp_path / "models--you--a.pair"
    shutil.copytree(copy, repository / "blobs")
    folder = links_to(repository / "blobs", repository / "snapshots" / COMMIT)
    assert refused(folder, host) == (
        f"{folder}/README.md is a symbolic link; a bundle holds plain files only; use hf:you/a.pair@{COMMIT}, "
        f"or copy what they point to: cp -rL {folder} COPY"
    )


def test_a_copy_of_what_the_links_point_to_is_a_bundle(copy, host, tmp_path):
    folder = links_to(copy, tmp_path / "snapshots" / COMMIT)
    plain = shutil.copytree(folder, tmp_path / "plain")
    assert load.load(plain, host).sample(2) == load.load(copy, host).sample(2)


def test_the_folder_itself_may_be_a_link(copy, host, tmp_path):
    (tmp_path / "latest").symlink_to(copy)
    assert load.load(tmp_path / "latest", host).sample(2) == load.load(copy, host).sample(2)


@pytest.mark.parametrize(
    ("addresses", "names"),
    [
        (["zoo:a", "runs/b", "/tmp/c/", "runs/d:e"], ["a", "b", "c", "d:e"]),
        (["x/run", "y/run", "z"], ["x/run", "y/run", "z"]),
        (["x/run", "y/run", "x/run", "z", "z"], ["x/run", "y/run", "x/run (2)", "z", "z (2)"]),
        (["hf:owner/name@1.0"], ["name@1.0"]),
        (["mean:runs/a,runs/b", "runs/b"], ["mean of a, b", "b"]),
    ],
)
def test_names_of_addresses_are_short_and_unique(addresses, names):
    assert short_names(addresses) == names


def test_the_folder_here_has_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "run" / "bundle").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run" / "bundle")
    assert short_names([".", "../", "/"]) == ["bundle", "run", "/"]
