"""The application: the page, its files, and the API. ``docs/serve.md`` documents every endpoint."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request as HTTPRequest
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from ganlm_core.errors import GanlmError, OptionError, UnknownName, UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.serve import completions, judging, writing
from ganlm_core.serve.duel import Question, questions
from ganlm_core.serve.models import Library, Served
from ganlm_core.serve.queue import Busy, Queue
from ganlm_core.serve.schema import SCHEMAS, check, request_of
from ganlm_core.serve.security import SECONDS, Answer, Refusal, refused
from ganlm_core.serve.watching import WatchedRun

HERE = Path(__file__).parent
FILES = {"page.js": "text/javascript", "page.css": "text/css"}

INTERVAL = 1.0
"""Seconds between two checks of a run for changes."""

WATCHERS = 256
"""Open streams of events, at most."""

Handler = Callable[[dict[str, Any]], Awaitable[Any]]


@dataclass
class Server:
    """The state that the endpoints share."""

    models: Library
    watched: dict[str, WatchedRun]
    queue: Queue
    watchers: int = 0

    async def sample(self, body: dict[str, Any]) -> Any:
        """Return sentences and, on request, the words of the first sentence."""
        served, request = self.models.model(body["model"]), request_of(body)
        if body["words"] or body["stream"]:
            if request.seed is None:  # one for both, so that the words are those of the first text
                request = replace(request, seed=writing.fresh_seed())
            found = await self.words(served, request)
            if body["stream"]:
                return _events(("word", asdict(word)) for word in found)
            texts = await self.write(served, request)
            return {"model": served.name, "texts": texts, "words": [asdict(word) for word in found]}
        return {"model": served.name, "texts": await self.write(served, request)}

    async def write(self, served: Served, request: writing.Request) -> Any:
        """Return the sentences of a request."""
        key = ("write", served.name, request.shares)
        return await self.queue.submit(key, request, partial(writing.write, served.model), request.n)

    async def words(self, served: Served, request: writing.Request) -> list[writing.Word]:
        if request.select:
            raise UsageError("words need sentences without a selection; leave select empty")
        found: list[writing.Word] = await self.queue.submit(
            ("words", served.name),
            request,
            lambda requests: [writing.words(served.model, each) for each in requests],
        )
        return found

    async def score(self, body: dict[str, Any]) -> Any:
        """Return the probability that each text is real; with ``words``, also the contribution of each word."""
        served = self.models.model(body["model"])
        served.refuse_labels()
        if body["words"]:
            found = [asdict(await self.judge(served, text)) for text in body["texts"]]
        else:
            texts = body["texts"]
            key = ("score", served.name)
            values = await self.queue.submit(key, texts, lambda batch: _probabilities(served, batch), len(texts))
            found = [{"probability": value} for value in values]
        return {"model": served.name, "results": found}

    async def judge(self, served: Served, text: str) -> judging.Judgement:
        judgement: judging.Judgement = await self.queue.submit(
            ("judge", served.name), text, lambda batch: [judging.judge(served.model, each) for each in batch], 16
        )
        return judgement

    async def duel(self, body: dict[str, Any]) -> Any:
        """Return the sentences of a duel, without the answers."""
        served = self.models.model(body["model"])
        served.refuse_labels()
        found = await self.questions(served, body["seed"])
        return {"texts": [question.text for question in found]}

    async def answer(self, body: dict[str, Any]) -> Any:
        """Return whether a sentence is real, who judged it correctly, and the reasons of the discriminator."""
        served = self.models.model(body["model"])
        found = await self.questions(served, body["seed"])
        if body["number"] >= len(found):
            raise OptionError(f"number is {body['number']}; the duel has {len(found)} sentences, counted from 0")
        question = found[body["number"]]
        judgement = await self.judge(served, question.text)
        return {
            "real": question.real,
            "person_is_right": body["real"] == question.real,
            "discriminator_is_right": (judgement.probability >= 0.5) == question.real,
            **asdict(judgement),
        }

    async def questions(self, served: Served, seed: int) -> list[Question]:
        found: list[Question] = await self.queue.submit(
            ("duel", served.name, seed),
            None,
            lambda batch: [questions(served.model, served.test, seed)] * len(batch),
        )
        return found

    async def complete(self, body: dict[str, Any]) -> Any:
        """Answer a request for OpenAI's completions, whole or as a stream."""
        served = self.models.model(body["model"])
        choices: list[completions.Choice] = []
        for request in completions.requests_of(body):
            key = ("complete", served.name, request.shares)
            work = partial(completions.complete, served.model)
            choices += await self.queue.submit(key, (body, request), work, request.n)
        if body["stream"]:
            return _raw_events(completions.chunks(served.name, choices))
        return completions.answer(served, choices, body)

    async def events(self, name: str, request: HTTPRequest) -> AsyncIterator[str]:
        """Yield the state of a run, now and after each change, until the client disconnects."""
        watched, last = self.watched[name], None
        self.watchers += 1  # here, because a client that leaves before the first line never starts this generator
        try:
            while not await request.is_disconnected():
                state = await asyncio.to_thread(watched.state)
                if state is not last:
                    yield f"event: state\ndata: {json.dumps(state)}\n\n"
                    last = state
                else:
                    yield ": still here\n\n"
                await asyncio.sleep(INTERVAL)
        finally:
            self.watchers -= 1


def make_app(library: Library, host: Host) -> Starlette:
    """Return the application, without the guard in front of it."""
    watched = {name: WatchedRun(run, host, INTERVAL) for name, run in library.runs.items()}
    server = Server(library, watched, Queue())
    page = _page(library)

    async def index(request: HTTPRequest) -> Response:
        return HTMLResponse(page)

    async def file(request: HTTPRequest) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return refused(404, "there is no such file")
        return FileResponse(HERE / "static" / name, media_type=FILES[name])

    async def models(request: HTTPRequest) -> Response:
        entries = [completions.model_entry(served) for served in library.models.values()]
        return Answer({"object": "list", "data": entries})

    async def schema(request: HTTPRequest) -> Response:
        return Answer(SCHEMAS)

    async def runs(request: HTTPRequest) -> Response:
        return Answer({"runs": list(library.runs)})

    @_named
    async def run(request: HTTPRequest) -> Response:
        library.run(request.path_params["name"])
        return Answer(await asyncio.to_thread(watched[request.path_params["name"]].state))

    @_named
    async def events(request: HTTPRequest) -> Response:
        library.run(request.path_params["name"])
        if server.watchers >= WATCHERS:
            return refused(503, f"{WATCHERS} clients watch already; close a page and try again")
        return StreamingResponse(server.events(request.path_params["name"], request), media_type="text/event-stream")

    handlers: dict[str, tuple[str, Handler]] = {
        "/v1/sample": ("sample", server.sample),
        "/v1/score": ("score", server.score),
        "/v1/duel": ("duel", server.duel),
        "/v1/answer": ("answer", server.answer),
        "/v1/completions": ("completions", server.complete),
    }
    return Starlette(
        routes=[
            Route("/", index),
            Route("/static/{name}", file),
            Route("/v1/models", models),
            Route("/v1/schema", schema),
            Route("/v1/runs", runs),
            Route("/v1/runs/{name:path}/events", events),  # a name has slashes if two folders share their last part
            Route("/v1/runs/{name:path}", run),
            *(Route(path, _endpoint(name, handler), methods=["POST"]) for path, (name, handler) in handlers.items()),
        ],
        exception_handlers={404: _no_path, 405: _another_method, 500: _fault},
    )


def _no_path(request: HTTPRequest, error: Exception) -> Response:
    return refused(404, f"there is nothing at {request.url.path}; docs/serve.md lists the endpoints")


def _another_method(request: HTTPRequest, error: Any) -> Response:
    allowed = error.headers["Allow"]
    answer = refused(405, f"{request.url.path} does not take {request.method}; use {allowed}")
    answer.headers["Allow"] = allowed
    return answer


def _fault(request: HTTPRequest, error: Exception) -> Response:
    return refused(500, "the server has a fault; its log shows where")


def _named(endpoint: Callable[[HTTPRequest], Awaitable[Response]]) -> Callable[[HTTPRequest], Awaitable[Response]]:
    """Return an endpoint that answers an unknown name with 404."""

    async def answered(request: HTTPRequest) -> Response:
        try:
            return await endpoint(request)
        except UnknownName as error:
            return refused(404, str(error))

    return answered


def _endpoint(name: str, handler: Handler) -> Callable[[HTTPRequest], Awaitable[Response]]:
    """Return an endpoint that reads and checks the body, and turns errors into answers."""

    async def endpoint(request: HTTPRequest) -> Response:
        try:
            result = await asyncio.wait_for(handler(await _body(name, request)), SECONDS)
        except Refusal as refusal:
            return refused(refusal.status, str(refusal))
        except TimeoutError:
            return refused(503, f"the request took more than {SECONDS:.0f} seconds; ask for less")
        except Busy as busy:
            answer = refused(503, str(busy))
            answer.headers["Retry-After"] = "1"
            return answer
        except UnknownName as error:
            return refused(404, str(error))
        except GanlmError as error:
            return refused(400, str(error))
        return result if isinstance(result, Response) else Answer(result)

    return endpoint


async def _body(name: str, request: HTTPRequest) -> dict[str, Any]:
    """Return the checked body of a request. Raises Refusal, TimeoutError and OptionError."""
    text = await asyncio.wait_for(request.body(), SECONDS)
    try:
        return check(name, json.loads(text))
    except ValueError:
        raise Refusal(400, "the body is not valid JSON") from None
    except RecursionError:
        raise Refusal(400, "the body is nested too deeply") from None


def _probabilities(served: Served, batch: Any) -> list[list[float]]:
    """Score the texts of several requests at once."""
    values = iter(served.model.probability([text for texts in batch for text in texts]))
    return [[next(values) for _ in texts] for texts in batch]


def _events(events: Any) -> StreamingResponse:
    lines = (f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    return StreamingResponse(_each(lines), media_type="text/event-stream")


def _raw_events(chunks: Any) -> StreamingResponse:
    lines = (f"data: {chunk}\n\n" for chunk in chain(map(json.dumps, chunks), ["[DONE]"]))
    return StreamingResponse(_each(lines), media_type="text/event-stream")


async def _each(lines: Any) -> AsyncIterator[str]:
    """Yield lines as they are made, and let other requests go on between two of them."""
    for line in lines:
        yield line
        await asyncio.sleep(0)


def _page(library: Library) -> str:
    """Return the page, with its settings in attributes that the script reads."""
    template = (HERE / "templates" / "page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    models = [served.describe() for served in library.models.values()]
    return environment.from_string(template).render(models=json.dumps(models), runs=json.dumps(list(library.runs)))
