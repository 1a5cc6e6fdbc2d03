"""Where the server listens, and who needs a token."""

import socket

import pytest

from ganlm_core.errors import UsageError
from ganlm_core.serve.server import address_of, bind, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.53"])
def test_loopback_needs_no_token(host: str) -> None:
    address = address_of(host, 7860, "")
    assert address.token == "" and is_loopback(address.host)
    assert "localhost:7860" in address.names and "127.0.0.1:7860" in address.names


def test_any_other_address_gets_a_token_that_is_in_its_url() -> None:
    address = address_of("0.0.0.0", 80, "")
    assert len(address.token) >= 32 and address.url == f"http://0.0.0.0:80/?token={address.token}"
    assert address_of("0.0.0.0", 80, "").token != address.token
    assert address_of("10.0.0.1", 80, "given-by-the-user").token == "given-by-the-user"


@pytest.mark.parametrize(
    ("host", "token", "told"),
    [
        ("example.org", "", "--host example.org is no IP address; give one of this machine, such as 0.0.0.0 for all"),
        (
            "0.0.0.0",
            "short",
            "--token has fewer than 16 characters; give a longer one, or leave it out to have one made",
        ),
        *(
            (
                "0.0.0.0",
                token,
                "--token may have only A-Z, a-z, 0-9 and -._~+/=; give another, or leave it out to have one made",
            )
            for token in ("my secret token 1+2", "a-token-with-a&in-it", "a-token-with-an-é", "a-token-and-a-line\n")
        ),
    ],
)
def test_impossible_requests_are_refused(host: str, token: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        address_of(host, 7860, token)
    assert str(caught.value) == told


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen at 127.0.0.1:{port}: .*; choose another --port"):
            bind("127.0.0.1", port)


def test_port_zero_takes_a_free_one() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0
