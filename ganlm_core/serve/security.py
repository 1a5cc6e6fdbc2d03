"""Checks of every request (address, origin, token, size, time), and the headers of every answer.

A page of another site can send requests to this machine. It cannot read the answers, but it must not cause work either:
requests whose Host is not this server's (DNS rebinding) or that come from another origin are refused.
"""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse

LARGEST_BODY = 2**16
"""Bytes of a request."""

SECONDS = 30.0
"""Maximum time for a request, for a body to arrive, and for a client to read a part of an answer."""

COOKIE = "ganlm_token"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Style attributes are allowed because figures have them; scripts only from the files of the server."""

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


class Refusal(Exception):
    """A refused request: its status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Guard:
    """ASGI middleware around an application. ``hosts``: the allowed values of the Host header.

    Without ``hosts`` any value is allowed: a server for other machines does not know all its names, and its token
    protects it from DNS rebinding.

    ``token``: the token of every request, as ``Authorization: Bearer`` or in the cookie that ``/?token=`` sets; with an
    empty token, requests need none.
    """

    def __init__(self, app: Any, hosts: Iterable[str], token: str = "") -> None:
        self.app, self.hosts, self.token = app, frozenset(hosts), token

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        guarded = _with_headers(send)
        try:
            self._check(scope, headers)
        except Refusal as refusal:
            await refused(refusal.status, str(refusal))(scope, receive, guarded)
            return
        if self.token and _query_token(scope):
            answer = RedirectResponse("/", status_code=303)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            await answer(scope, receive, guarded)
            return
        with suppress(TimeoutError, ClientDisconnect):  # a client that disconnected or does not read gets no answer
            await self.app(scope, _bounded(receive), guarded)

    def _check(self, scope: Any, headers: Headers) -> None:
        """Raise Refusal for a request that does not come from this server's own page or from a program."""
        host = headers.get("host", "")
        if self.hosts and host not in self.hosts:
            raise Refusal(421, f"this server is not {host!r}; use the address that it printed")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refusal(403, "a page of another site may not send requests here")
        opened = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"  # a link that a person followed
        if not opened and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refusal(403, "a page of another site may not send requests here")
        if self.token and not self._has_token(scope, headers):
            raise Refusal(401, "the token is missing or wrong; open the address with ?token= that the server printed")
        if scope["method"] == "POST":
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                raise Refusal(415, "the body must be JSON, with Content-Type: application/json")
            length = headers.get("content-length", "")
            if length.isdecimal() and int(length) > LARGEST_BODY:
                raise Refusal(413, f"the body has {length} bytes; {LARGEST_BODY} are allowed")

    def _has_token(self, scope: Any, headers: Headers) -> bool:
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        given = (bearer, _cookie(headers.get("cookie", "")), _query_token(scope))
        return any(hmac.compare_digest(each.encode(), self.token.encode()) for each in given)


class Answer(JSONResponse):
    """JSON that may also hold half a surrogate pair, as a request or the name of a folder can: it is escaped."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="backslashreplace")


def refused(status: int, reason: str) -> Answer:
    """Return an error in the form that OpenAI's clients read."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return Answer({"error": {"message": reason, "type": kind, "param": None, "code": None}}, status)


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _query_token(scope: Any) -> str:
    query = scope["query_string"].decode("latin-1")
    return unquote(query.removeprefix("token=")) if scope["path"] == "/" and query.startswith("token=") else ""


def _with_headers(send: Send) -> Send:
    """Add HEADERS to the answer, and drop a client that does not read for SECONDS."""

    async def guarded(message: Any) -> None:
        if message["type"] == "http.response.start":
            added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await asyncio.wait_for(send(message), SECONDS)

    return guarded


def _bounded(receive: Receive) -> Receive:
    """Stop a body that is larger than LARGEST_BODY."""
    taken = 0

    async def guarded() -> Any:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST_BODY:
            raise Refusal(413, f"the body has more than the {LARGEST_BODY} bytes that are allowed")
        return message

    return guarded
