"""The endpoints, through the application and its guard."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from starlette.testclient import TestClient

from ganlm_core.bundle import zoo
from ganlm_core.bundle.model import Model
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.serve.app import Server, make_app
from ganlm_core.serve.models import Library
from ganlm_core.serve.queue import Queue
from ganlm_core.serve.schema import SCHEMAS
from ganlm_core.serve.writing import Request, Word, words
from ganlm_core.training.run_folder import RunFolder
from tests.serve.conftest import AT_ONCE, WORDS, Ask
from tests.serve.test_security import JSON


def test_the_same_seed_gives_what_the_command_line_gives(ask: Ask, model: Model) -> None:
    assert ask("sample", n=3, seed=5, temperature=0.8)["texts"] == model.sample(3, seed=5, temperature=0.8)
    assert ask("sample", n=2, seed=1, prompt="the dog")["texts"] == model.sample(2, seed=1, prompt="the dog")


def test_without_a_seed_every_answer_is_another(ask: Ask) -> None:
    assert ask("sample", n=5)["texts"] != ask("sample", n=5)["texts"]


def test_selection_equals_the_command_line(ask: Ask, ganlm: Callable[..., tuple[int, str, str]]) -> None:
    found = ask("sample", n=4, seed=2, select="rejection", model=AT_ONCE)["texts"]
    code, out, _ = ganlm("sample", f"zoo:{AT_ONCE}", "-n", 4, "--seed", 2, "--select", "rejection")
    assert code == 0 and out.splitlines() == found


@pytest.mark.parametrize("seed", [{"seed": 3}, {}], ids=["a seed", "no seed"])
def test_words_come_with_the_likeliest_in_their_place(ask: Ask, seed: dict[str, int]) -> None:
    found = ask("sample", n=1, words=True, **seed)
    assert " ".join(word["text"] for word in found["words"]).strip() == found["texts"][0]
    for word in found["words"]:
        probabilities = [probability for _, probability in word["alternatives"]]
        assert probabilities == sorted(probabilities, reverse=True) and sum(probabilities) <= 1.0001
        assert 0 < word["probability"] <= probabilities[0] + 1e-6


def test_requests_for_words_at_the_same_time_get_their_own(library: Library, model: Model) -> None:
    requests = [Request(seed=seed, prompt=prompt) for seed, prompt in ((3, ""), (4, "the dog"), (5, ""))]

    async def ask_together() -> list[list[Word]]:
        server = Server(library, {}, Queue())
        return list(await asyncio.gather(*(server.words(library.models[WORDS], each) for each in requests)))

    assert asyncio.run(ask_together()) == [words(model, each) for each in requests]


def test_words_are_streamed_as_events(client: TestClient, ask: Ask) -> None:
    body = {"seed": 3, "stream": True}
    lines = client.post("/v1/sample", json=body).text.split("\n\n")
    events = [json.loads(line.partition("data: ")[2]) for line in lines if line]
    assert events == ask("sample", seed=3, words=True)["words"]


def test_scores_are_the_models_probabilities(ask: Ask, model: Model) -> None:
    texts = ["the dog sleeps .", "dog the sleeps ."]
    found = [each["probability"] for each in ask("score", texts=texts)["results"]]
    assert found == pytest.approx(model.probability(texts))


def test_a_judgement_names_the_words_that_are_not_known(ask: Ask) -> None:
    (found,) = ask("score", texts=["the wug sleeps ."], words=True)["results"]
    assert [word["known"] for word in found["words"]] == [True, False, True, True]
    assert not found["cut"] and all(word["rank"] >= 1 for word in found["words"])


def test_a_generator_that_writes_at_once_has_no_ranks(ask: Ask) -> None:
    (found,) = ask("score", texts=["the dog sleeps ."], words=True, model=AT_ONCE)["results"]
    assert {word["rank"] for word in found["words"]} == {None}


def test_a_duel_is_twenty_sentences_and_keeps_its_answers(ask: Ask) -> None:
    texts = ask("duel", seed=4)["texts"]
    assert len(texts) == len(set(texts)) == 20 and ask("duel", seed=4)["texts"] == texts
    answers = [ask("answer", seed=4, number=number, real=True) for number in range(20)]
    assert sum(answer["real"] for answer in answers) == sum(answer["person_is_right"] for answer in answers) == 10
    first = answers[0]
    assert first["discriminator_is_right"] == ((first["probability"] >= 0.5) == first["real"])
    assert [word["text"] for word in first["words"]] == texts[0].split()


def test_the_models_and_what_they_can_do_are_listed(client: TestClient) -> None:
    found = {entry["id"]: entry["ganlm"] for entry in client.get("/v1/models").json()["data"]}
    assert list(found) == [WORDS, AT_ONCE, "run"]
    assert [each["writes_word_by_word"] for each in found.values()] == [True, False, True]
    assert found[WORDS]["judges"] and found[WORDS]["address"] == f"zoo:{WORDS}"


def test_every_schema_is_one_and_every_endpoint_has_one(client: TestClient) -> None:
    found = client.get("/v1/schema").json()
    assert found == SCHEMAS
    for schema in found.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("sample", {"n": 0}, "n: 0 is less than the minimum of 1"),
        ("sample", {"n": 257}, "n: 257 is greater than the maximum of 256"),
        ("sample", {"temperature": 0}, "temperature: 0 is less than or equal to the minimum of 0"),
        ("sample", {"seed": 2**63}, f"seed: {2**63} is greater than the maximum of {2**63 - 1}"),
        (
            "sample",
            {"tempreature": 1},
            "the body: Additional properties are not allowed ('tempreature' was unexpected)",
        ),
        ("score", {}, "the body: 'texts' is a required property"),
        ("score", {"texts": [1]}, "texts.0: 1 is not of type 'string'"),
        ("completions", {}, "the body: 'prompt' is a required property"),
    ],
)
def test_a_body_of_another_form_is_refused(
    message: Callable[..., str], path: str, body: dict[str, object], told: str
) -> None:
    assert message(path, **body) == f"{told}; GET /v1/schema shows what is wanted"


def test_a_model_that_is_not_served_is_not_found(message: Callable[..., str]) -> None:
    told = message("sample", 404, model="../../etc/passwd")
    assert told.startswith("there is no model '../../etc/passwd'") and "GET /v1/models lists them" in told


def test_a_missing_ability_of_a_model_is_a_one_line_error(message: Callable[..., str]) -> None:
    assert "writes all positions at once" in message("sample", model=AT_ONCE, prompt="the dog")
    assert "words need sentences without a selection" in message("sample", select="rejection", words=True)
    assert "is calibrated for temperature 1 and all words" in message(
        "sample", select="rejection", top_k=2, model=AT_ONCE
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "the body is not valid JSON"),
        ("{", "the body is not valid JSON"),
        ("[1", "the body is not valid JSON"),
        (b'"\xff"', "the body is not valid JSON"),
        ("9" * 5000, "the body is not valid JSON"),
        ("[" * 10_000, "the body is nested too deeply"),
        ('{"n": NaN}', "n: nan is not of type 'integer'; GET /v1/schema shows what is wanted"),
    ],
)
def test_text_that_is_not_json_is_refused(client: TestClient, body: str | bytes, told: str) -> None:
    answer = client.post("/v1/sample", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, told)


def told_by(answer: Any) -> str:
    return str(answer.json()["error"]["message"])


def test_an_unknown_path_and_another_method_are_refused_as_json(client: TestClient) -> None:
    answer = client.get("/v1/sampel")
    assert answer.status_code == 404
    assert told_by(answer) == "there is nothing at /v1/sampel; docs/serve.md lists the endpoints"
    answer = client.get("/v1/sample")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert told_by(answer) == "/v1/sample does not take GET; use POST"


def test_a_fault_of_an_endpoint_is_not_one_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    async def faulty(self: Server, body: dict[str, Any]) -> Any:
        raise ValueError("a fault")

    monkeypatch.setattr(Server, "duel", faulty)
    app = make_app(Library({}, {}), default_host())
    with TestClient(app, base_url="http://testserver", raise_server_exceptions=False) as client:
        answer = client.post("/v1/duel", json={"seed": 1})
        assert (answer.status_code, told_by(answer)) == (500, "the server has a fault; its log shows where")


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("sample", '{"model": "\\ud800"}', 404, "there is no model '\ud800'; GET /v1/models lists them"),
        ("sample", '{"label": "\\ud800"}', 400, "there is no label '\ud800': this bundle was trained without labels"),
        ("sample", '{"\\ud800": 1}', 400, "Additional properties are not allowed ('\\ud800' was unexpected)"),
        ("sample", '{"prompt": "\\ud800"}', 400, "a text is not valid Unicode; give text in UTF-8"),
        ("score", '{"texts": ["\\ud800"], "words": true}', 400, "a text is not valid Unicode; give text in UTF-8"),
    ],
)
def test_half_a_surrogate_pair_is_refused_in_words(
    client: TestClient, path: str, body: str, status: int, told: str
) -> None:
    answer = client.post(f"/v1/{path}", content=body, headers=JSON)
    assert answer.status_code == status and told in answer.json()["error"]["message"]


def test_a_folder_whose_name_is_not_valid_unicode_is_listed(run: RunFolder) -> None:
    app = make_app(Library({}, {"run\udcff": run}), default_host())
    with TestClient(app, base_url="http://testserver") as client:
        assert client.get("/").status_code == 200
        assert client.get("/v1/runs").json() == {"runs": ["run\udcff"]}


def test_a_run_is_shown_with_its_figures_and_samples(client: TestClient) -> None:
    assert client.get("/v1/runs").json() == {"runs": ["run"]}
    state = client.get("/v1/runs/run").json()
    assert (state["status"], state["step"], state["steps"]) == ("finished", 6, 6)
    assert [each["step"] for each in state["samples"]] == [3, 6]
    assert all(figure["svg"].startswith("<svg") and figure["caption"] for figure in state["figures"])
    assert client.get("/v1/runs/other").status_code == 404


@pytest.mark.parametrize("name", ["first/seed0", "/tmp/second/seed0"])
def test_runs_whose_folders_have_one_name_are_shown_and_watched(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The page sends a slash of a name as %2F."""

    async def once(self: Server, name: str, request: object) -> AsyncIterator[str]:
        yield name

    monkeypatch.setattr(Server, "events", once)
    app = make_app(Library({}, {name: run}), default_host())
    with TestClient(app, base_url="http://testserver") as client:
        for address in (f"/v1/runs/{name}", f"/v1/runs/{quote(name, safe='')}"):
            assert client.get(address).json()["step"] == 6
            assert client.get(f"{address}/events").text == name
            assert client.get(f"{address}/more").status_code == client.get(f"{address}/more/events").status_code == 404


async def here() -> bool:
    return False


def test_a_client_that_leaves_before_the_first_line_is_not_counted(run: RunFolder) -> None:
    watched: Any = SimpleNamespace(state=dict)
    server, client = Server(Library({}, {"run": run}), {"run": watched}, Queue()), SimpleNamespace(is_disconnected=here)

    async def watch_and_leave() -> None:
        never_started: Any = server.events("run", client)  # type: ignore[arg-type]
        await never_started.aclose()
        assert server.watchers == 0
        lines: Any = server.events("run", client)  # type: ignore[arg-type]
        await anext(lines)
        assert server.watchers == 1
        await lines.aclose()
        assert server.watchers == 0

    asyncio.run(watch_and_leave())


def test_the_page_and_its_files_are_served_and_nothing_else(client: TestClient) -> None:
    assert "ganlm" in client.get("/").text
    assert client.get("/static/page.js").headers["content-type"].startswith("text/javascript")
    for path in ("/static/app.py", "/static/..%2fapp.py", "/static/../app.py", "/page.js", "/v1/", "/static/"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("entry", [entry.name for entry in zoo.entries()])
def test_every_bundle_of_the_zoo_is_served_or_says_why_not(entry: str) -> None:
    library = Library.open(default_host(), [f"zoo:{entry}"])
    can = library.models[entry].describe()
    with TestClient(make_app(library, default_host()), base_url="http://testserver") as client:
        found = client.post("/v1/sample", json={"seed": 1, "words": True}).json()
        assert len(found["texts"]) == 1 and found["words"]
        judged = client.post("/v1/score", json={"texts": found["texts"], "words": True})
        duel = client.post("/v1/duel", json={"seed": 1})
        assert judged.status_code == (200 if can["judges"] else 400)
        assert duel.status_code == 200 or "error" in duel.json()
        completed = client.post("/v1/completions", json={"prompt": "", "seed": 1})
        assert completed.status_code == 200


def test_a_model_of_a_third_party_plugin_is_served(host: Host, saved: Path) -> None:
    """Its generator is of another distribution."""
    library = Library.open(host, [str(saved)])
    with TestClient(make_app(library, host), base_url="http://testserver") as client:
        assert len(client.post("/v1/sample", json={"n": 3, "seed": 1}).json()["texts"]) == 3
        assert client.post("/v1/completions", json={"prompt": "", "n": 2}).status_code == 200


VALUES: list[Any] = [None, True, 0, 1, 2, -1, 1.5, 2**70, "", "the dog", "zebra", [], ["the dog"], [1], {}, {"a": 1}]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_request_is_taken_if_and_only_if_its_schema_takes_it(client: TestClient, name: str) -> None:
    """Bodies of random values, half of them also without what is required."""
    rng, valid = random.Random(0), jsonschema.Draft202012Validator(SCHEMAS[name])
    for _ in range(60):
        keys = [*SCHEMAS[name]["properties"], "more"]
        body = {key: rng.choice(VALUES) for key in rng.sample(keys, rng.randint(0, 3))}
        body |= {key: rng.choice(VALUES) for key in SCHEMAS[name]["required"] if rng.random() < 0.8}
        answer = client.post(f"/v1/{name}", json=body)
        fits = valid.is_valid(body)
        assert answer.status_code < 500, (body, answer.text)
        assert ("GET /v1/schema" in answer.text) != fits, (body, answer.text)
