"""``ganlm serve`` as a user starts it: with OpenAI's own client, rude clients, and runs that change under it."""

import json
import shutil
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from ganlm_core.training.train import execute
from tests.conftest import WARM, Ganlm, tiny_config
from tests.whole.serving import Server, memory_of, served

WORDS = "lstm-conv.autoregressive-grammar"
CLIENTS = 40


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, ``a`` and ``b``."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate("ab"):
        execute(tiny_config("lstm", "conv", algorithm_options=WARM, evaluate_every=3, seed=seed), out=folder / name)
    return folder


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[Server]:
    with served(f"zoo:{WORDS}", "a", "b", cwd=runs) as found:
        yield found


@pytest.fixture
def url(server: Server) -> str:
    return server.url


def post(url: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def get(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=60) as answer:
        return json.load(answer)


def test_the_openai_client_completes_streams_and_lists(url: str, ganlm: Ganlm) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == [WORDS, "a", "b"]
    asked: dict[str, Any] = {"model": WORDS, "prompt": "the dog", "seed": 1, "n": 2}
    answer = client.completions.create(**asked)
    _, out, _ = ganlm("sample", f"zoo:{WORDS}", "-n", 2, "--seed", 1, "--prompt", "the dog")
    assert ["the dog" + choice.text for choice in answer.choices] == out.splitlines()
    chunks = list(client.completions.create(**asked, stream=True))
    texts = ["".join(c.choices[0].text for c in chunks if c.choices[0].index == number) for number in (0, 1)]
    assert texts == [choice.text for choice in answer.choices]
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-4'"):
        client.completions.create(model="gpt-4", prompt="the dog")
    with pytest.raises(openai.BadRequestError, match="wug"):
        client.completions.create(model=WORDS, prompt="the wug")


def test_many_clients_at_once_get_their_own_answers(url: str) -> None:
    alone = {seed: post(url, "/v1/sample", {"seed": seed, "n": 2}) for seed in range(4)}

    def ask(number: int) -> bool:
        try:
            return post(url, "/v1/sample", {"seed": number % 4, "n": 2}) == alone[number % 4]
        except urllib.error.HTTPError as error:
            return error.code == 503

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert all(pool.map(ask, range(3 * CLIENTS)))


def test_clients_that_go_read_slowly_or_say_nothing_do_no_harm(server: Server) -> None:
    url = server.url
    where = urlsplit(url)
    place = (where.hostname, where.port)
    body = json.dumps({"n": 256, "seed": 1}).encode()
    head = f"POST /v1/sample HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
    rude = [socket.create_connection(place) for _ in range(CLIENTS)]
    for number, connection in enumerate(rude):
        if number % 4 == 0:  # a whole request, whose answer is never read
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        elif number % 4 == 1:  # a body that never comes
            connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        elif number % 4 == 2:  # half a head
            connection.sendall(head[:20].encode())
        if number % 8 == 0:
            connection.close()
    assert len(post(url, "/v1/sample", {"n": 1})["texts"]) == 1
    for connection in rude:
        connection.close()
    assert len(post(url, "/v1/sample", {"n": 1})["texts"]) == 1
    assert "Traceback" not in server.log.read_text()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what memory another process has")
def test_memory_does_not_grow_with_the_number_of_requests(server: Server) -> None:
    url, process, _ = server

    def ask(number: int) -> None:
        post(url, "/v1/sample", {"n": 32})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(100)))
        before = memory_of(process)
        list(pool.map(ask, range(300)))
    assert memory_of(process) - before < 30_000


def test_a_stream_of_a_run_tells_each_change_and_survives_its_end(url: str, runs: Path) -> None:
    """The folder vanishes, and another run takes its place."""
    states: list[dict[str, Any]] = []
    changed = threading.Condition()

    def listen() -> None:
        with urllib.request.urlopen(f"{url}/v1/runs/b/events", timeout=30) as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    with changed:
                        states.append(json.loads(line[6:]))
                        changed.notify()
                    if len(states) == 3:
                        return

    listener = threading.Thread(target=listen)
    listener.start()

    def wait(count: int) -> None:
        with changed:
            assert changed.wait_for(lambda: len(states) >= count, timeout=30)

    wait(1)
    shutil.move(runs / "b", runs / "away")
    wait(2)
    shutil.copytree(runs / "a", runs / "b")
    wait(3)
    listener.join()
    shutil.rmtree(runs / "b")
    shutil.move(runs / "away", runs / "b")
    assert states[0]["step"] == 6 and "problem" in states[1] and states[2]["step"] == 6


def test_no_request_reads_a_file(url: str) -> None:
    for path in ("/static/../../../../etc/passwd", "/static/%2e%2e/app.py", "//etc/passwd", "/v1/runs/..%2f..%2fetc"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url + path, timeout=30)
        assert caught.value.code == 404


def test_ctrl_c_ends_the_server_with_no_traceback(tmp_path: Path) -> None:
    with served(f"zoo:{WORDS}", cwd=tmp_path) as (url, process, log):
        assert get(url, "/v1/models")["data"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)
        assert "Traceback" not in log.read_text()


def test_another_address_asks_for_the_token_that_is_printed(tmp_path: Path) -> None:
    with served(f"zoo:{WORDS}", "--host", "0.0.0.0", cwd=tmp_path) as (url, *_):
        where = urlsplit(url)
        local = f"http://127.0.0.1:{where.port}"
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(local, "/v1/models")
        assert caught.value.code == 401
        token = where.query.removeprefix("token=")
        request = urllib.request.Request(f"{local}/v1/models", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["nowhere"], 4, "nowhere"),
        (["--host", "example.org"], 2, "--host example.org is no IP address"),
        (["--host", "0.0.0.0", "--token", "short"], 2, "--token has fewer than 16 characters"),
    ],
)
def test_addresses_that_cannot_be_served_are_refused(ganlm: Ganlm, arguments: list[str], code: int, told: str) -> None:
    found, out, err = ganlm("serve", *arguments)
    assert (found, out) == (code, "") and told in err and err.count("\n") == 1


def test_a_run_that_is_watched_prints_its_page_and_closes_it_at_the_end(tmp_path: Path) -> None:
    import subprocess

    config = tmp_path / "config.toml"
    config.write_text(tiny_config("lstm", "conv", algorithm_options=WARM).to_toml())
    command = [sys.executable, "-m", "ganlm_core", "run", "--config", str(config), "--out", "run", "--watch"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "bundle: run/bundle" in done.stdout and "Traceback" not in done.stderr
