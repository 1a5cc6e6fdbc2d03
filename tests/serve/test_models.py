"""The models and runs of a server, and their names."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ganlm_core.errors import UnknownName, UsageError, WeightsError
from ganlm_core.plugins.host import default_host
from ganlm_core.serve.app import Server
from ganlm_core.serve.models import Library, Served
from ganlm_core.serve.queue import Queue
from ganlm_core.training.run_folder import RunFolder
from tests.bundle.test_model import make
from tests.serve.conftest import copy_of


def test_a_run_that_has_no_bundle_yet_is_only_watched(run: RunFolder, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "run")
    for folder in ("bundle", "before", "checkpoints"):
        import shutil

        shutil.rmtree(copy.path / folder)
    found = Library.open(default_host(), [str(copy.path)])
    assert list(found.runs) == ["run"] and not found.models


def test_an_address_of_nothing_is_refused() -> None:
    with pytest.raises(WeightsError):
        Library.open(default_host(), ["nowhere"])


def test_names_that_are_not_served_are_unknown(library: Library) -> None:
    for find in (library.model, library.run):
        with pytest.raises(UnknownName):
            find("../secret")
    assert library.model("") is next(iter(library.models.values()))


def test_a_model_with_labels_gives_no_verdict_and_no_duel() -> None:
    model = make()
    plain = Served("plain", "a", model)
    plain.refuse_labels()
    labelled = Served(
        "named", "b", replace(model, config=replace(model.config, labels=("x", "y"), label_counts=(1, 1)))
    )
    with pytest.raises(UsageError, match="named judges a text as a text of its label, which the API does not take"):
        labelled.refuse_labels()
    server = Server(Library({"named": labelled}, {}), {}, Queue())
    for ask, body in ((server.duel, {"seed": 0}), (server.score, {"texts": ["a"], "words": False})):
        with pytest.raises(UsageError, match="judges a text as a text of its label"):
            asyncio.run(ask({"model": "named", **body}))


def test_the_duel_has_the_test_split_of_a_built_in_corpus(library: Library) -> None:
    assert all(len(served.test) >= 10 for served in library.models.values())
