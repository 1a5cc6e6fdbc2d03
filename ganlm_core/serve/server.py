"""Start the server: addresses, token and limits of uvicorn."""

import ipaddress
import re
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import uvicorn

from ganlm_core.errors import UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.serve.app import make_app
from ganlm_core.serve.models import Library
from ganlm_core.serve.protocol import TimedProtocol
from ganlm_core.serve.security import Guard

LOOPBACK = "127.0.0.1"

TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]*")
"""The characters of a Bearer token (RFC 6750, section 2.1). They are the same in an address and in a header."""

CONNECTIONS = 512
"""Requests and streams at once; more are answered with 503."""

LARGEST_HEAD = 2**14
"""Bytes of the head of a request."""


@dataclass(frozen=True)
class Address:
    """Where the server listens, and the ``token`` that requests must carry; none on loopback."""

    host: str
    port: int
    token: str = ""

    @property
    def url(self) -> str:
        query = f"/?token={self.token}" if self.token else ""
        return f"http://{_bracketed(self.host)}:{self.port}{query}"

    @property
    def names(self) -> list[str]:
        """The values of the Host header for this server; none if it has a token and serves other machines."""
        if not is_loopback(self.host):
            return []
        return [f"{_bracketed(name)}:{self.port}" for name in {self.host, "127.0.0.1", "localhost", "::1"}]


def address_of(host: str, port: int, token: str) -> Address:
    """Return the address. Unless it is loopback, it gets a token; without a given token, a random one is made.

    Raises UsageError for a host that is no address, and for a token that is too easy to guess or no Bearer token.
    """
    host = {"localhost": LOOPBACK}.get(host, host)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(f"--host {host} is no IP address; give one of this machine, such as 0.0.0.0 for all") from None
    if token and len(token) < 16:
        raise UsageError("--token has fewer than 16 characters; give a longer one, or leave it out to have one made")
    if not TOKEN.fullmatch(token):
        raise UsageError(
            "--token may have only A-Z, a-z, 0-9 and -._~+/=; give another, or leave it out to have one made"
        )
    if not token and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    return Address(host, port, token)


def is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0 takes a free port. Raises UsageError if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen at {host}:{port}: {error.strerror}; choose another --port") from None
    return listener


def free_port(host: str, wanted: int) -> int:
    """Return the wanted port if it is free, else another one."""
    for port in (wanted, 0):
        try:
            with bind(host, port) as listener:
                return int(listener.getsockname()[1])
        except UsageError:
            continue
    raise UsageError(f"no port of {host} is free")


def start(
    library: Library, plugins: Host, address: Address, listener: socket.socket, tell: Callable[[str], None]
) -> None:
    """Serve until Ctrl-C or SIGTERM; ``tell`` gets the address of the page."""
    address = replace(address, port=listener.getsockname()[1])
    app: Any = Guard(make_app(library, plugins), address.names, address.token)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        http=TimedProtocol,
        ws="none",
        lifespan="off",
    )
    listener.listen(CONNECTIONS)
    tell(address.url)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
