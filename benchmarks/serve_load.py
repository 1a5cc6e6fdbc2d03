"""Load on ``ganlm serve``: many clients at once, and rude ones beside them; the latencies of ``docs/serve.md``.

    python benchmarks/serve_load.py

starts a server with one thread on this machine and prints a table. The clients share the cores of the machine.
"""

import json
import socket
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import click

from tests.whole.serving import memory_of, served

MODEL = "zoo:lstm-conv.autoregressive-grammar"
REQUESTS: dict[str, tuple[str, Callable[[int], Any]]] = {
    "sample, one sentence, no seed": ("/v1/sample", lambda number: {"n": 1}),
    "sample, one sentence, a seed each": ("/v1/sample", lambda number: {"n": 1, "seed": number}),
    "score, one sentence": ("/v1/score", lambda number: {"texts": ["the dog sleeps ."]}),
    "completion": ("/v1/completions", lambda number: {"prompt": "the dog", "seed": number}),
}


@click.command(context_settings={"show_default": True})
@click.option("--clients", type=click.IntRange(1), default=200, help="clients at once")
@click.option("--requests", type=click.IntRange(1), default=1000, help="requests of each kind")
def main(clients: int, requests: int) -> None:
    """Print latencies in milliseconds, the share of requests that were told to wait, and the memory of the server."""
    with served(MODEL) as (url, process, log):
        click.echo(f"{clients} clients; the server has {memory_of(process) // 1024} MiB at the start")
        click.echo("| request | median | 95% | largest | a second | told to wait |\n|---|---:|---:|---:|---:|---:|")
        for title, (path, body) in REQUESTS.items():
            click.echo(_row(title, *_measured(url + path, body, clients, requests)))
        rude = _rude(url, clients)
        click.echo(
            _row("sample, beside as many rude clients", *_measured(url + "/v1/sample", lambda n: {"n": 1}, 8, 100))
        )
        for connection in rude:
            connection.close()
        click.echo(
            f"the server has {memory_of(process) // 1024} MiB at the end, and wrote {len(log.read_bytes())} bytes"
        )


def _measured(url: str, body: Callable[[int], Any], clients: int, requests: int) -> tuple[list[float], float, int]:
    """Return the seconds of the answered requests, the seconds of all together, and how many were told to wait."""

    def ask(number: int) -> tuple[float, bool]:
        request = urllib.request.Request(url, json.dumps(body(number)).encode(), {"Content-Type": "application/json"})
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return time.perf_counter() - began, False
        return time.perf_counter() - began, True

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(ask, range(requests)))
    return [taken for taken, fine in found if fine], time.perf_counter() - began, sum(not fine for _, fine in found)


def _row(title: str, taken: list[float], together: float, waiting: int) -> str:
    share = waiting / (waiting + len(taken))
    times = (statistics.median(taken), statistics.quantiles(taken, n=20)[-1], max(taken))
    shown = " | ".join(f"{1000 * each:.0f}" for each in times)
    return f"| {title} | {shown} | {len(taken) / together:.0f} | {share:.0%} |"


def _rude(url: str, clients: int) -> list[socket.socket]:
    """Connect clients that say nothing, half a request, or read no answer."""
    where = urlsplit(url)
    body = json.dumps({"n": 256}).encode()
    head = f"POST /v1/sample HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
    whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    says = [whole, head[:30].encode(), f"{head}Content-Length: 9\r\n\r\n".encode(), b""]
    found = [socket.create_connection((where.hostname, where.port)) for _ in range(clients)]
    for number, connection in enumerate(found):
        connection.sendall(says[number % len(says)])
    return found


if __name__ == "__main__":
    main()
