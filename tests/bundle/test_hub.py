"""Push and pull with the Hub's own client, against a fake Hub on this machine."""

import hashlib
import json
import logging
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganlm_core.bundle import hub, load
from ganlm_core.bundle.hub import Address
from ganlm_core.bundle.start import find, resolve
from ganlm_core.bundle.verify import verify
from ganlm_core.errors import GanlmError, UsageError, WeightsError
from ganlm_core.plugins.host import Host
from tests.bundles import files_of, seal
from tests.conftest import Ganlm
from tests.fake_hub import FakeHub, serving

huggingface_hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: extra 'hub'")

TOKEN = "hf_averysecrettoken"
NAME = "somebody/pair"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    with serving() as hub:
        # The client reads HF_ENDPOINT once, when it is imported.
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        # Large files go by Git LFS: the fake does not speak the protocol of Xet, for which the client has its own.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
        yield hub


@pytest.fixture
def pushed(server: FakeHub, saved: Path) -> str:
    """The commit of the saved bundle."""
    server.commit(NAME, {})
    return server.commit(NAME, files_of(saved))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf:a/b", Address("a/b")),
        ("hf:a/b.c@v1.0", Address("a/b.c", "v1.0")),
        ("hf:a/b@refs/pr/1", Address("a/b", "refs/pr/1")),
    ],
)
def test_an_address_is_parsed_and_printed(text: str, address: Address) -> None:
    assert Address.of(text) == address and str(address) == text


@pytest.mark.parametrize("text", ["a/b", "hf:b", "hf:a/b/c", "hf:a/b@", "hf:a/ b", "hf:a/b\n", "hf:https://x/y"])
def test_other_texts_are_not_addresses(text: str) -> None:
    with pytest.raises(
        UsageError, match="is not an address on the Hub; wanted hf:OWNER/NAME or hf:OWNER/NAME@REVISION"
    ):
        Address.of(text)


def test_a_pulled_bundle_equals_the_pushed_bundle(
    command: Ganlm, server: FakeHub, copy: Path, saved: Path, tmp_path: Path, host: Host
) -> None:
    code, out, err = command("weights", "push", copy, f"hf:{NAME}")
    commit, files = server.repositories[NAME][-1]
    assert (code, out, err) == (0, f"hf:{NAME}@{commit}\n", "")
    assert {name: data for name, data in files.items() if not name.startswith(".")} == files_of(saved)
    record = {"repository": NAME, "revision": commit}
    assert json.loads((copy / ".hub.json").read_text()) == record

    size = sum(len(data) for name, data in files_of(saved).items() if name != "SHA256SUMS")
    assert command("weights", "pull", f"hf:{NAME}", "--out", tmp_path / "pulled") == (
        0, out, f"hf:{NAME}@{commit} has 9 files of {size:,} bytes\n"
    )  # fmt: skip
    pulled = files_of(tmp_path / "pulled")
    assert json.loads(pulled.pop(".hub.json")) == record
    assert pulled == files_of(saved)
    verify(tmp_path / "pulled", host)
    code, _, err = command("weights", "pull", f"hf:{NAME}", "--out", tmp_path / "pulled")
    assert code == 2 and err.endswith("pulled already exists; choose another folder\n")


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(
    command: Ganlm, server: FakeHub, copy: Path, saved: Path
) -> None:
    code, out, _ = command("weights", "push", copy, f"hf:{NAME}", "--dry-run")
    shown = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:-1]}
    assert code == 0 and shown.keys() == files_of(saved).keys()
    size = f"{(saved / 'config.json').stat().st_size:,}"
    (digest,) = [line.split()[0] for line in (saved / "SHA256SUMS").read_text().splitlines() if "config" in line]
    assert shown["config.json"] == [size, digest]
    assert out.splitlines()[-1] == f"nothing was sent to hf:{NAME}, which would get these 10 files"
    planned = json.loads(command("weights", "push", copy, f"hf:{NAME}", "--dry-run", "--json")[1])
    assert server.requests == [] and not (copy / ".hub.json").exists()

    command("weights", "push", copy, f"hf:{NAME}")
    sent = [
        {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(server.repositories[NAME][-1][1].items())
        if not name.startswith(".")
    ]
    assert planned["files"] == sent
    assert (planned["address"], planned["sent"]) == (f"hf:{NAME}", False)


def test_a_repository_is_private_when_asked(command: Ganlm, server: FakeHub, copy: Path) -> None:
    assert command("weights", "push", copy, f"hf:{NAME}", "--private")[0] == 0
    assert server.private == {NAME}


def test_a_bundle_that_does_not_verify_is_not_sent(command: Ganlm, server: FakeHub, copy: Path) -> None:
    (copy / "README.md").write_text("")
    code, _, err = command("weights", "push", copy, f"hf:{NAME}")
    assert code == 4 and "README.md was changed or damaged" in err
    assert server.requests == []


def test_the_hub_checks_the_card_first(server: FakeHub, copy: Path) -> None:
    (copy / "README.md").write_text("no header\n")
    (copy / "SHA256SUMS").unlink()
    from ganlm_core.system.sums import write_sums

    write_sums(copy)
    with pytest.raises(GanlmError, match=r"the Hub refused hf:somebody/pair: .*Invalid metadata in README\.md"):
        hub.push(copy, Address(NAME))
    assert not any("commit" in request or "large" in request for request in server.requests)


def test_the_librarys_model_card_reads_and_validates_the_card(server: FakeHub, saved: Path) -> None:
    card = huggingface_hub.ModelCard.load(saved / "README.md")
    found = card.data.to_dict()
    assert found["library_name"] == "ganlm" and found["pipeline_tag"] == "text-generation"
    assert found["tags"] == ["ganlm", "gan", "text-generation"] and found["model_name"] == "lstm on grammar"
    card.validate()
    assert server.requests == ["POST /api/validate-yaml"]


def test_the_token_is_sent_and_never_printed_or_kept(
    command: Ganlm, server: FakeHub, copy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that repeats the token does not make it appear in a message."""
    caplog.set_level(logging.DEBUG)
    said = command("weights", "push", copy, f"hf:{NAME}")
    said += command("weights", "pull", f"hf:{NAME}", "--out", tmp_path / "pulled")
    server.refusal = "your token {token} is not good enough"
    said += command("weights", "push", copy, f"hf:{NAME}")
    said += command("--debug", "weights", "pull", f"hf:{NAME}", "--out", tmp_path / "again")
    assert said[3] == 0 and said[9] == 1 and "your token *** is not good enough" in said[8]
    assert TOKEN in server.tokens, "the fake must have seen it"
    assert TOKEN not in repr(said) and TOKEN not in caplog.text
    assert not any(TOKEN.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_pinned_commit_is_fetched_once(server: FakeHub, pushed: str, saved: Path, host: Host) -> None:
    address = f"hf:{NAME}@{pushed}"
    model = load.load(address, host)
    assert model.sample(3) == load.load(saved, host).sample(3)
    asked = len(server.requests)
    assert load.load(address, host).sample(3) == model.sample(3)
    assert len(server.requests) == asked, "a commit in the cache needs no network"


@pytest.mark.parametrize("name", ["generator.safetensors", "config.json", "SHA256SUMS"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b""), Path.unlink], ids=["emptied", "lost"])
def test_a_commit_that_was_damaged_in_the_cache_is_fetched_again(
    server: FakeHub, pushed: str, saved: Path, name: str, damage: Callable[[Path], object]
) -> None:
    folder = hub.fetch(Address(NAME, pushed))
    damage(folder / name)
    assert hub.fetch(Address(NAME, pushed)) == folder
    found = files_of(folder)
    assert json.loads(found.pop(".hub.json")) == {"repository": NAME, "revision": pushed}
    assert found == files_of(saved)


def test_a_branch_is_looked_up_each_time(server: FakeHub, pushed: str, host: Host) -> None:
    first = hub.fetch(Address(NAME, "main"))
    assert first.name == pushed
    later = server.commit(NAME, {"more.txt": b"x"})
    assert hub.fetch(Address(NAME, "main")).name == later
    assert first.is_dir()


def test_an_address_without_a_revision_is_not_loaded(server: FakeHub, pushed: str) -> None:
    with pytest.raises(UsageError) as caught:
        load.load(f"hf:{NAME}")
    assert str(caught.value) == (
        f"hf:{NAME} may be another bundle tomorrow; name a revision: the newest is hf:{NAME}@{pushed}, "
        f"and hf:{NAME}@main is always the newest"
    )


def test_commands_take_addresses(command: Ganlm, pushed: str, saved: Path, host: Host) -> None:
    sampled = command("sample", f"hf:{NAME}@{pushed}", "-n", 3)
    assert sampled == (0, "".join(f"{text}\n" for text in load.load(saved, host).sample(3)), "")
    assert command("weights", "verify", f"hf:{NAME}@main")[0] == 0
    assert command("weights", "diff", f"hf:{NAME}@{pushed}", saved)[1] == "no difference\n"
    assert command("weights", "inspect", f"hf:{NAME}@{pushed}")[1].startswith("bundle of format 1")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "hf:somebody/nothing",
            "the Hub has no somebody/nothing, or you may not see it; check the name, or log in",
        ),
        (f"hf:{NAME}@v9", f"the Hub has no revision v9 of {NAME}; check it"),
    ],
)
def test_a_repository_or_revision_that_does_not_exist(pushed: str, tmp_path: Path, address: str, message: str) -> None:
    with pytest.raises(GanlmError) as caught:
        hub.pull(Address.of(address), tmp_path / "out")
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "out").exists()


def test_a_repository_without_a_bundle(server: FakeHub, tmp_path: Path) -> None:
    server.commit(NAME, {"model.bin": b"x"})
    with pytest.raises(
        WeightsError, match=r"is not a bundle: it lacks SHA256SUMS or a file that SHA256SUMS lists; check"
    ):
        hub.pull(Address(NAME), tmp_path / "out")


def test_files_that_do_not_match_their_checksums(server: FakeHub, saved: Path, tmp_path: Path) -> None:
    server.commit(NAME, files_of(saved) | {"tokenizer.json": b"{}"})
    with pytest.raises(WeightsError, match=r"tokenizer\.json was changed or damaged"):
        hub.pull(Address(NAME), tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


def test_a_text_file_of_many_megabytes_is_not_fetched(
    server: FakeHub, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.commit(NAME, files_of(saved))
    monkeypatch.setattr(hub, "LARGEST_TEXT", 100)
    with pytest.raises(WeightsError, match=r"README\.md has \d+ bytes, more than the 100 allowed; do not use it"):
        hub.pull(Address(NAME), tmp_path / "out")
    assert not any(request.endswith("README.md") for request in server.requests)


def test_weights_are_not_bounded_only_under_the_names_that_a_bundle_has(
    server: FakeHub, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "more.safetensors").write_bytes(bytes(10**6 + 1))
    seal(copy)
    commit = server.commit(NAME, files_of(copy))
    monkeypatch.setattr(hub, "LARGEST_TEXT", 10**6)
    with pytest.raises(WeightsError) as caught:
        hub.pull(Address(NAME), tmp_path / "out")
    assert str(caught.value) == (
        f"hf:{NAME}@{commit}: more.safetensors has 1000001 bytes, more than the 1000000 allowed; do not use it"
    )
    assert not any(request.endswith(".safetensors") for request in server.requests)


def test_a_file_of_unknown_size_is_not_fetched(
    server: FakeHub, pushed: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {name: len(data) for name, data in files_of(saved).items()}
    monkeypatch.setattr(hub, "_sizes", lambda *_: {**sizes, "generator.safetensors": None})
    with pytest.raises(WeightsError) as caught:
        hub.pull(Address(NAME), tmp_path / "out")
    assert str(caught.value) == (
        f"hf:{NAME}@{pushed}: the Hub does not say how large generator.safetensors is; do not use it"
    )
    assert not any(request.endswith(".safetensors") for request in server.requests)


def test_only_listed_files_of_a_repository_are_fetched(server: FakeHub, saved: Path, tmp_path: Path) -> None:
    server.commit(NAME, files_of(saved) | {"evil.py": b"import os", "deep/evil.bin": b"x"})
    hub.pull(Address(NAME), tmp_path / "out")
    assert files_of(tmp_path / "out").keys() == files_of(saved).keys() | {".hub.json"}


def test_a_large_list_of_checksums_is_not_fetched_to_its_end(
    server: FakeHub, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.commit(NAME, files_of(saved))
    monkeypatch.setattr(hub, "LARGEST_JSON", 100)
    with pytest.raises(WeightsError, match=r"SHA256SUMS has more than the 100 bytes allowed; do not use it"):
        hub.pull(Address(NAME), tmp_path / "out")
    assert [request.rpartition("/")[2] for request in server.requests if "/resolve/" in request] == ["SHA256SUMS"]


def test_a_text_file_that_is_larger_than_its_announced_size(
    server: FakeHub, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.commit(NAME, files_of(saved))
    monkeypatch.setattr(hub, "LARGEST_TEXT", 100)
    monkeypatch.setattr(hub, "_checked_size", lambda *_: 0)
    with pytest.raises(WeightsError, match=r"README\.md has more than the 100 bytes allowed; do not use it"):
        hub.pull(Address(NAME), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["SHA256SUMS", "config.json", "generator.safetensors"])
def test_a_failure_of_the_server_is_told_as_itself(
    server: FakeHub, pushed: str, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.broken = name
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client tries again, later each time
    with pytest.raises(GanlmError, match=rf"the Hub refused hf:{NAME}@{pushed}: .*500.*{name}") as caught:
        hub.pull(Address(NAME), tmp_path / "out")
    assert not isinstance(caught.value, WeightsError) and "\n" not in str(caught.value)


def test_an_empty_list_of_checksums_is_refused(server: FakeHub, saved: Path, tmp_path: Path) -> None:
    server.commit(NAME, files_of(saved) | {"SHA256SUMS": b""})
    with pytest.raises(WeightsError, match="SHA256SUMS lists no files"):
        hub.pull(Address(NAME), tmp_path / "out")


def test_a_list_of_checksums_without_a_bundle_is_refused(server: FakeHub, saved: Path, tmp_path: Path) -> None:
    server.commit(NAME, files_of(saved) | {"SHA256SUMS": b"0" * 64 + b"  more.bin\n", "more.bin": b""})
    with pytest.raises(WeightsError, match=r"is not a bundle: its SHA256SUMS does not list config\.json; check the"):
        hub.pull(Address(NAME), tmp_path / "out")


def test_a_listed_hidden_file_is_refused(command: Ganlm, server: FakeHub, copy: Path, tmp_path: Path) -> None:
    """.hub.json says where a bundle came from; a pull would write over a listed one."""
    (copy / ".hub.json").write_text("{}")
    seal(copy)
    message = "SHA256SUMS lists '.hub.json', which is no plain file name; do not use it"
    server.commit(NAME, {file.name: file.read_bytes() for file in copy.iterdir()})
    code, _, err = command("weights", "pull", f"hf:{NAME}", "--out", tmp_path / "out")
    assert code == 4 and message in err and not (tmp_path / "out").exists()
    code, _, err = command("weights", "push", copy, f"hf:{NAME}")
    assert code == 4 and message in err


def test_no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(GanlmError, match=r"the Hub refused hf:somebody/pair: .*Connect") as caught:
        hub.pull(Address(NAME), tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_without_the_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError) as caught:
        hub.pull(Address(NAME), tmp_path / "out")
    assert str(caught.value) == "the Hub needs the package huggingface_hub; pip install 'ganlm[hub]'"


def test_the_endpoint_is_taken_from_the_environment(server: FakeHub, pushed: str, tmp_path: Path) -> None:
    """In another process, because the client reads it on import; pulling does not import torch."""
    program = "import sys; from ganlm_core.cli import main; sys.exit(main(sys.argv[1:]) or 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, "weights", "pull", f"hf:{NAME}", "--out", "out", "--quiet"],
        cwd=tmp_path, env={"HF_ENDPOINT": server.url, "HOME": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stderr, done.stdout, done.returncode) == ("", f"hf:{NAME}@{pushed}\n", 0)
    shutil.rmtree(tmp_path / "out")


def test_a_run_starts_from_a_pinned_commit(server: FakeHub, pushed: str, host: Host) -> None:
    config = resolve(host, [{"start": {"from": f"hf:{NAME}@main"}}])
    assert config.start.generator == config.start.discriminator == f"hf:{NAME}@{pushed}"
    ancestor = find(config.start.generator).ancestor
    assert (ancestor.name, ancestor.revision) == (f"hf:{NAME}", pushed)
    server.commit(NAME, {"README.md": b"another"})
    assert resolve(host, [config.to_dict()]) == config
    with pytest.raises(UsageError, match="name a revision"):
        resolve(host, [{"start": {"from": f"hf:{NAME}"}}])
