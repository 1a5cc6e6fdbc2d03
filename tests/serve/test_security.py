"""The guard: each kind of request that must not get in, and the headers of those that do."""

from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from starlette.testclient import TestClient

from ganlm_core.plugins.host import default_host
from ganlm_core.serve.app import make_app
from ganlm_core.serve.models import Library
from ganlm_core.serve.security import COOKIE, LARGEST_BODY, Guard
from ganlm_core.serve.server import address_of

TOKEN = "a-token-that-nobody-guesses"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def guarded(library: Library) -> Iterator[TestClient]:
    """A server that asks for a token."""
    app = Guard(make_app(library, default_host()), ["testserver"], TOKEN)
    with TestClient(app, base_url="http://testserver", follow_redirects=False) as found:
        yield found


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/runs/run/events"])
def test_a_page_of_another_site_gets_nothing(
    client: TestClient, headers: dict[str, str], status: int, path: str
) -> None:
    assert client.get(path, headers=headers).status_code == status
    assert client.post("/v1/sample", content="{}", headers=JSON | headers).status_code == status


def test_the_pages_own_requests_get_in(client: TestClient) -> None:
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/sample", content="{}", headers=JSON | own).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_is_no_request(client: TestClient, kind: str) -> None:
    """Forms and text are what a page of another site may send without asking the browser."""
    assert client.post("/v1/sample", content="{}", headers={"Content-Type": kind}).status_code == 415


def test_a_body_that_is_too_large_is_refused_by_its_length_and_by_its_bytes(client: TestClient) -> None:
    body = b'{"prompt": "' + b"a" * LARGEST_BODY + b'"}'
    assert client.post("/v1/sample", content=body, headers=JSON).status_code == 413
    assert client.post("/v1/sample", content=iter([body]), headers=JSON).status_code == 413


def test_no_method_but_those_of_the_endpoint(client: TestClient) -> None:
    assert client.get("/v1/sample").status_code == 405
    assert client.post("/v1/models", content="{}", headers=JSON).status_code == 405
    assert client.request("OPTIONS", "/v1/sample").status_code == 405


def test_every_answer_has_the_headers_and_none_lets_other_origins_read_it(client: TestClient) -> None:
    for answer in (
        client.get("/"),
        client.get("/v1/models"),
        client.get("/nothing"),
        client.get("/", headers={"Host": "x"}),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe-eval" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers


def test_the_page_has_no_script_of_its_own_and_nothing_from_elsewhere(client: TestClient) -> None:
    text = client.get("/").text
    assert text.count("<script") == 1 and '<script src="/static/page.js" defer></script>' in text
    assert "http://" not in text and "https://" not in text and " on" + "click=" not in text


def test_without_the_token_nobody_gets_in(guarded: TestClient) -> None:
    assert guarded.get("/v1/models").status_code == 401
    assert guarded.get("/?token=wrong").status_code == 401
    assert guarded.get("/v1/models?token=" + TOKEN).status_code == 401
    assert guarded.get("/v1/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert guarded.get("/v1/models", headers={"Cookie": f"{COOKIE}=wrong"}).status_code == 401


def test_the_token_opens_the_api_and_through_a_cookie_the_page(guarded: TestClient) -> None:
    assert guarded.get("/v1/models", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    answer = guarded.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    assert guarded.get("/", headers={"Cookie": f"{COOKIE}={TOKEN}"}).status_code == 200


def test_every_token_that_may_be_given_opens_the_page_by_the_printed_address(library: Library) -> None:
    """Also where a program encodes the token: quote leaves fewer characters as they are than a browser."""
    token = "AZaz09-._~+/=="
    address = address_of("127.0.0.1", 7860, token + token)
    app = Guard(make_app(library, default_host()), [], address.token)
    for query in (urlsplit(address.url).query, f"token={quote(address.token, safe='')}"):
        with TestClient(app, base_url="http://testserver") as client:
            assert client.get(f"/?{query}").status_code == 200  # with the cookie
            assert client.get("/v1/models").status_code == 200
    with TestClient(app, base_url="http://testserver") as client:
        assert client.get("/v1/models", headers={"Authorization": f"Bearer {address.token}"}).status_code == 200


def test_text_of_a_model_or_a_name_cannot_leave_its_attribute(library: Library) -> None:
    """The names of runs are those of folders, which may hold anything."""
    hostile = Library(library.models, {'"><script>alert(1)</script>': library.runs["run"]})
    with TestClient(Guard(make_app(hostile, default_host()), ["testserver"]), base_url="http://testserver") as client:
        assert "<script>alert" not in client.get("/").text


def test_a_server_for_other_machines_has_any_name_but_only_its_own_page(library: Library) -> None:
    app = Guard(make_app(library, default_host()), [], TOKEN)
    with TestClient(app, base_url="http://a-name.example") as client:
        own = JSON | {"Authorization": f"Bearer {TOKEN}", "Origin": "https://a-name.example"}
        assert client.post("/v1/sample", content="{}", headers=own).status_code == 200
        assert client.post("/v1/sample", content="{}", headers=own | {"Origin": "https://b.example"}).status_code == 403
        assert client.get("/").status_code == 401
