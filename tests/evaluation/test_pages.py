"""The pages: the figure of quality against diversity, and untrusted names and texts on a page."""

from ganlm_core.components import Measure
from ganlm_core.evaluation import pages, repeated
from ganlm_core.evaluation.compare import compare
from ganlm_core.evaluation.figures import svg
from ganlm_core.evaluation.scores import Row, Scores
from tests.evaluations import REAL, STEEP, scores


def test_the_page_has_curves_of_the_warm_up_and_every_seed_beside_real_text() -> None:
    measures = {"b": [Measure("b", "B", "higher", "quality")], "s": [Measure("s", "S", "lower", "diversity")]}

    def evaluated(shift: float) -> Scores:
        curves = [("model", "run", 0.5 + shift), ("baseline", "run before GAN training", 0.25)]
        rows = [Row(kind, name, t, 9, {"b": b / t, "s": 1 / t}) for kind, name, b in curves for t in (1.0, 2.0)]
        others = [Row(kind, kind, None, 9, {"b": 0.4, "s": 0.6}) for kind in ("real", "process", "unigram")]
        return Scores([*rows, *others], measures, {})

    scores = evaluated(0.0)
    figure = pages.tradeoff(compare({"a": [scores, evaluated(0.1)]}, "b", "s"), scores)
    assert [(curve.name, list(curve.x), list(curve.y), list(curve.labels)) for curve in figure.curves] == [
        ("a", [1.0, 0.5], [0.5, 0.25], ["1", "2"]),
        ("a", [1.0, 0.5], [0.6, 0.3], []),
        ("a before GAN training", [1.0, 0.5], [0.25, 0.125], ["1", "2"]),
        ("a before GAN training", [1.0, 0.5], [0.25, 0.125], []),
        ("real text", [0.6], [0.4], []),
        ("perfect generator", [0.6], [0.4], []),
    ]
    assert figure.levels == {"quality of real text: above it is mode seeking": 0.4}
    drawn = svg(figure)
    assert drawn.count(">a</text>") == drawn.count(">a before GAN training</text>") == 1


def page(**values: object) -> str:
    """The page of a comparison of a method whose title is hostile."""
    title, found = str(values.pop("title")), scores(STEEP)
    comparison = compare({title: [found]}, "bleu4", "self_bleu4")
    return pages.render(
        "compare.html.j2",
        **{
            "title": title,
            "conditions": found.conditions,
            "comparison": comparison,
            "also": [],
            "tradeoff": svg(pages.tradeoff(comparison, found)),
            "table": repeated.table(comparison, {title: [found]}),
            "curves": [],
            "notes": [],
            "script": "",
            "script_hash": pages.hash_of(""),
            "scores": found,
            "samples": {title: ["a dog"]},
            "commands": [],
            "command": "",
            **values,
        },
    )


def test_a_page_forbids_every_script_but_its_own_and_every_load() -> None:
    script = pages.SORT.read_text()
    text = page(title="lstm", script=script, script_hash=pages.hash_of(script))
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src '{pages.hash_of(script)}'"
    head = text[: text.index("<title>")]
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in head
    assert text.count("<script") == 1 and f"<script>{script}</script>" in text
    assert " src=" not in text and "@import" not in text


def test_names_and_texts_are_escaped_wherever_they_stand() -> None:
    text = page(
        title="<b onclick='x()'>\u202eevil", samples={"</ul><img src=x>": ["<script>alert(1)</script>", "\x1b[2J"]}
    )
    for raw in ("<b onclick", "<img", "<script>alert", "\u202e", "\x1b"):
        assert raw not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count("\\u202eevil") >= 4  # the title twice, the legend and the table
    assert "\\x1b[2J" in text


def test_a_file_is_named_without_its_folders() -> None:
    assert [pages.text_name(name) for name in ("grammar", "/home/me/mine.txt", "")] == ["grammar", "mine.txt", ""]


def test_the_values_of_a_page_equal_the_table() -> None:
    text = page(title="lstm")
    assert f"BLEU-4 where Self-BLEU-4 is 0.500; real text has {REAL.diversity:.3f}." in text
    assert "<th>T</th><th>sentences</th>" in text.replace("\n", "")


def test_a_page_has_every_value_that_was_asked_for() -> None:
    found = scores(STEEP)
    comparisons = [compare({"a": [found]}, "bleu4", "self_bleu4", at) for at in (0.5, 0.7)]
    html = pages.compared(comparisons[0], {"a": [found]}, {}, "ganlm compare", also=comparisons[1:])
    assert "BLEU-4 where Self-BLEU-4 is 0.5;" in html and "BLEU-4 where Self-BLEU-4 is 0.7;" in html
    assert "BLEU-4 at Self-BLEU-4 0.5" in html and "BLEU-4 at Self-BLEU-4 0.7" in html
