"""Fixtures of the tests of the server: two models of the zoo, a run folder, and a client without a network."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ganlm_core.bundle.model import Model
from ganlm_core.plugins.host import default_host
from ganlm_core.serve.app import make_app
from ganlm_core.serve.models import Library
from ganlm_core.serve.security import Guard
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.train import execute
from tests.conftest import WARM, tiny_config

WORDS, AT_ONCE = "lstm-conv.autoregressive-grammar", "mlp-conv.one-shot-grammar"


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run of six steps."""
    config = tiny_config("lstm", "conv", algorithm_options=WARM, evaluate_every=3)
    return execute(config, out=tmp_path_factory.mktemp("served") / "run")


@pytest.fixture(scope="package")
def library(run: RunFolder) -> Library:
    return Library.open(default_host(), [f"zoo:{WORDS}", f"zoo:{AT_ONCE}", str(run.path)])


@pytest.fixture(scope="package")
def model(library: Library) -> Model:
    """The generator writes word by word."""
    return library.models[WORDS].model


@pytest.fixture(scope="package")
def at_once(library: Library) -> Model:
    """The generator writes all positions at once."""
    return library.models[AT_ONCE].model


@pytest.fixture(scope="package")
def client(library: Library) -> Iterator[TestClient]:
    app = Guard(make_app(library, default_host()), ["testserver"])
    with TestClient(app, base_url="http://testserver") as found:
        yield found


Ask = Callable[..., Any]


@pytest.fixture
def ask(client: TestClient) -> Ask:
    """Send a body to an endpoint; return the answer's JSON after checking its status."""

    def send(path: str, status: int = 200, **body: Any) -> Any:
        answer = client.post(f"/v1/{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    return send


@pytest.fixture
def message(ask: Ask) -> Callable[..., str]:
    """The message of a request that is refused with 400."""
    return lambda path, status=400, **body: str(ask(path, status, **body)["error"]["message"])


def copy_of(run: RunFolder, folder: Path) -> RunFolder:
    import shutil

    return RunFolder(shutil.copytree(run.path, folder))
