"""The pages: the figure of quality against diversity, and what strangers' names and texts can do to a page."""

from ganlm_core.components import Measure
from ganlm_core.evaluation import pages
from ganlm_core.evaluation.compare import compare
from ganlm_core.evaluation.figures import svg
from ganlm_core.evaluation.scores import Row, Scores


def test_the_curves_are_those_of_the_warm_up_and_of_every_seed_beside_real_text() -> None:
    measures = {"b": [Measure("b", "B", "higher", "quality")], "s": [Measure("s", "S", "lower", "diversity")]}

    def evaluated(shift: float) -> Scores:
        curves = [("model", "run", 0.5 + shift), ("baseline", "run before", 0.25)]
        rows = [Row(kind, name, t, 9, {"b": b / t, "s": 1 / t}) for kind, name, b in curves for t in (1.0, 2.0)]
        others = [Row(kind, kind, None, 9, {"b": 0.4, "s": 0.6}) for kind in ("real", "process", "unigram")]
        return Scores([*rows, *others], measures, {})

    scores = evaluated(0.0)
    figure = pages.tradeoff(compare({"a": [scores, evaluated(0.1)]}, "b", "s"), scores)
    assert [(curve.name, list(curve.x), list(curve.y), list(curve.labels)) for curve in figure.curves] == [
        ("a", [1.0, 0.5], [0.5, 0.25], ["1", "2"]),
        ("a", [1.0, 0.5], [0.6, 0.3], []),
        ("a, before", [1.0, 0.5], [0.25, 0.125], ["1", "2"]),
        ("real text", [0.6], [0.4], []),
        ("perfect generator", [0.6], [0.4], []),
    ]
    assert figure.levels == {"quality of real text: above it is mode seeking": 0.4}
    drawn = svg(figure)
    assert drawn.count(">a</text>") == drawn.count(">a, before</text>") == 1
