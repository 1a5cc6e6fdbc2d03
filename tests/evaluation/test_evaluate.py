"""The rows of an evaluation in-process: the choice of metrics, shares of the work, conditions and notes."""

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.data.corpus import Columns, Corpus, split
from ganlm_core.data.grammar import Grammar
from ganlm_core.errors import UnknownName
from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
from ganlm_core.evaluation.scores import Scores
from ganlm_core.evaluation.sources import Source
from ganlm_core.plugins.host import Host, default_host
from tests.guests import HEAD

TEXTS = Grammar().sample(120, seed=0)
CORPUS = Corpus("mine", TEXTS[:60], TEXTS[60:80], TEXTS[80:])


def evaluated(*sources: Source, names: tuple[str, ...] = ("distinct", "copies"), **others: Any) -> Scores:
    settings = EvaluationSettings(choose_metrics(default_host(), names))
    return evaluate(default_host(), sources, CORPUS, settings, **others)


def samples(title: str, texts: list[str]) -> Source:
    return Source("samples", title, texts=texts)


def test_metrics_are_all_that_are_measured_by_default_or_those_that_are_named() -> None:
    every = choose_metrics(default_host())
    assert "lm-score" not in every and list(every)[:4] == ["validity", "distinct", "copies", "likelihood"]
    assert list(choose_metrics(default_host(), ["lm-score", "validity"])) == ["validity", "likelihood", "lm-score"]
    with pytest.raises(UnknownName):
        choose_metrics(default_host(), ["blue"])


def test_a_metric_of_a_plugin_with_a_taken_name_is_chosen_by_its_long_name(tmp_path: Path) -> None:
    file = tmp_path / "plug.py"
    file.write_text(
        f'{HEAD}\n@hookimpl\ndef ganlm_components():\n    yield ComponentSpec("metric", "distinct", "m:a")\n'
    )
    host = Host.discover([file])
    assert [(name, spec.target) for name, spec in choose_metrics(host, ["plug.py/distinct"]).items()] == [
        ("plug.py/distinct", "m:a")
    ]
    assert list(choose_metrics(host, ["plug.py/distinct", "distinct"])) == ["distinct", "plug.py/distinct"]


def test_rows_are_the_sources_and_the_references() -> None:
    told: list[str] = []
    found = evaluated(samples("a.txt", TEXTS[80:110]), samples("b.txt", TEXTS[90:]), tell=told.append)
    assert [(row.kind, row.title, row.sentences) for row in found.rows] == [
        ("samples", "a.txt", 30),
        ("samples", "b.txt", 30),
        ("real", "real", 30),
        ("shuffled", "shuffled", 30),
        ("unigram", "unigram", 30),
    ]
    assert told == [f"measuring {name}" for name in ("a.txt", "b.txt", "real", "shuffled", "unigram")]


def test_work_that_is_divided_gives_the_same_scores() -> None:
    def backwards(work: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
        done = [(place, work(part)) for place, part in reversed(list(enumerate(parts)))]
        return (made for _, made in sorted(done, key=lambda pair: pair[0]))

    source = samples("a.txt", TEXTS[80:])
    assert evaluated(source, divide=backwards, ways=2) == evaluated(source)


def test_conditions_identify_the_text_by_its_digests() -> None:
    conditions = evaluated(samples("a.txt", TEXTS[80:])).conditions
    digests = CORPUS.digests()
    assert conditions["train"] == {"sentences": 60, "sha256": digests["train"]}
    assert conditions["test"] == {"sentences": 40, "sha256": digests["test"]}
    assert conditions["copies_by_chance"] == pytest.approx(sum(t in TEXTS[:60:2] for t in TEXTS[1:60:2]) / 30)
    assert evaluated(samples("a.txt", TEXTS[80:]), names=("distinct",)).conditions["copies_by_chance"] is None


def test_empty_sentences_are_measured_and_noted() -> None:
    found = evaluated(samples("a.txt", [*TEXTS[80:110], *[""] * 10]))
    assert found.rows[0].values["distinct"] == (len(set(TEXTS[80:110])) + 1) / 40
    assert "a.txt: 10 of 40 sentences are empty; every metric counts them" in found.notes
    assert not any("empty" in note for note in evaluated(samples("a.txt", TEXTS[80:])).notes)


def test_text_that_repeats_itself_is_no_ceiling() -> None:
    """A file is split by sentences, so its frequent sentences are on one side. Fresh sentences have all of them."""
    rng = random.Random(0)
    drawn = [
        f"the dog {kind} runs" for kind in rng.choices(range(100), [1 / (kind + 1) for kind in range(100)], k=3000)
    ]
    corpus = split("mine", drawn[:2500])
    settings = EvaluationSettings(choose_metrics(default_host(), ("bleu",)))
    found = evaluate(default_host(), [samples("fresh", drawn[2500:])], corpus, settings)
    assert found.rows[0].values["bleu4"] > found.rows[1].values["bleu4"]
    assert not found.conditions["real_is_ceiling"] and not found.marked
    (note,) = [note for note in found.notes if "repeats itself" in note]
    assert note.endswith(
        "of its sentences recur by chance), and its splits share no sentence, so a perfect generator is better than "
        "the row of real text; draw --test apart from the training text for a fair row"
    )
    fair = corpus.testing(drawn[2500:], Columns())
    assert evaluate(default_host(), [samples("fresh", drawn[2500:])], fair, settings).conditions["real_is_ceiling"]


def test_means_over_sentences_have_their_standard_errors() -> None:
    (row, *_) = evaluated(samples("a.txt", TEXTS[80:]), names=("bleu", "distinct")).rows
    assert "distinct" not in row.errors and 0 < row.errors["bleu5"] < 0.1


def test_copies_that_exceed_chance_are_noted() -> None:
    noted = [note for note in evaluated(samples("a.txt", TEXTS[:40])).notes if "memorised" in note]
    assert len(noted) == 1
    assert noted[0].startswith("a.txt: 100.0% of the sentences are copies of training sentences; ")
