"""A fake Hugging Face Hub on 127.0.0.1, in memory: the part of its HTTP interface that pushing and pulling need.

It follows https://huggingface.co/docs/hub/api and the Git LFS batch protocol, and answers what huggingface_hub asks.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


@dataclass
class FakeHub:
    """``repositories``: the commits by name, in order, each with its files. ``requests``: method and path of each."""

    url: str = ""
    repositories: dict[str, list[tuple[str, Files]]] = field(default_factory=dict)
    large: Files = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    refusal: str = ""
    """The answer of the server to every request, if not empty; ``{token}`` stands for the token that was sent."""
    broken: str = ""
    """The name of a file for which the server fails with status 500."""

    def commit(self, repository: str, files: Files) -> str:
        """Add files to the files of the last commit; return the id of the new commit."""
        commits = self.repositories.setdefault(repository, [])
        whole = {**(commits[-1][1] if commits else {".gitattributes": b""}), **files}
        oid = hashlib.sha1(repr((len(commits), sorted(whole.items()))).encode()).hexdigest()
        commits.append((oid, whole))
        return oid

    def find(self, repository: str, revision: str) -> tuple[str, Files] | None:
        commits = self.repositories.get(repository, [])
        if revision == "main":
            return commits[-1] if commits else None
        return next((commit for commit in commits if commit[0] == revision), None)


@contextmanager
def serving() -> Iterator[FakeHub]:
    hub = FakeHub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client may hang up at any time
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.requests.append(f"{self.command} {path}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.hub.tokens.add(token)
        if self.hub.refusal:
            self._send(403, {"error": self.hub.refusal.format(token=token)})
        elif path == "/api/validate-yaml":
            self._validate()
        elif path == "/api/repos/create":
            self._create()
        elif path.startswith("/api/models/"):
            self._model(path.removeprefix("/api/models/").split("/"))
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch()
        elif path.startswith("/large/"):
            self.hub.large[path.removeprefix("/large/")] = self.body
            self._send(200, {})
        elif "/resolve/" in path:
            owner, name, _, revision, file = path.removeprefix("/").split("/", 4)
            if file == self.hub.broken:
                self._send(500, {"error": "out of order"})
            else:
                self._file(f"{owner}/{name}", revision, file)
        else:
            self._missing("Unknown")

    def _validate(self) -> None:
        """Check the header between two lines of dashes, as the Hub does; this one only wants the library's name."""
        content = json.loads(self.body)["content"]
        good = content.startswith("---\n") and "library_name: ganlm" in content.split("---\n")[1].splitlines()
        self._send(200 if good else 400, {"errors": [] if good else [{"message": "no header"}], "warnings": []})

    def _create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or 'somebody'}/{asked['name']}"
        if asked.get("private") or asked.get("visibility") == "private":
            self.hub.private.add(name)
        fresh = name not in self.hub.repositories
        if fresh:
            self.hub.commit(name, {})
        self._send(200 if fresh else 409, {"url": f"{self.hub.url}/{name}", "name": name, "error": "there already"})

    def _model(self, parts: list[str]) -> None:
        owner, name, *rest = parts
        repository, action = f"{owner}/{name}", rest[0] if rest else "revision"
        found = self.hub.find(repository, rest[1] if len(rest) > 1 else "main")
        if repository not in self.hub.repositories:
            self._missing("RepoNotFound")
        elif found is None:
            self._missing("RevisionNotFound")
        elif action == "preupload":
            modes = [
                {"path": file["path"], "shouldIgnore": False,
                 "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular"}
                for file in json.loads(self.body)["files"]
            ]  # fmt: skip
            self._send(200, {"files": modes})
        elif action == "commit":
            self._commit(repository)
        else:
            files = [{"rfilename": file, "size": len(data)} for file, data in sorted(found[1].items())]
            self._send(200, {"id": repository, "sha": found[0], "siblings": files})

    def _commit(self, repository: str) -> None:
        files: Files = {}
        for line in self.body.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        oid = self.hub.commit(repository, files)
        self._send(200, {"commitOid": oid, "commitUrl": f"{self.hub.url}/{repository}/commit/{oid}", "success": True})

    def _batch(self) -> None:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.hub.url}/large/{one['oid']}"}}}
            for one in json.loads(self.body)["objects"]
        ]
        self._send(200, {"transfer": "basic", "objects": objects})

    def _file(self, repository: str, revision: str, file: str) -> None:
        found = self.hub.find(repository, revision)
        if found is None or file not in found[1]:
            self._missing("EntryNotFound" if found else "RevisionNotFound")
            return
        oid, files = found
        digest = hashlib.sha256(files[file]).hexdigest()
        self._send_bytes(200, files[file], {"ETag": f'"{digest}"', "X-Repo-Commit": oid})

    def _missing(self, code: str) -> None:
        self._send(404, {"error": code}, {"X-Error-Code": code})

    def _send(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(answer).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send_bytes(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
