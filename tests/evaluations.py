"""Evaluations made up of a few points: what comparisons and pages are tested with."""

from collections.abc import Sequence

from ganlm_core.components import Measure
from ganlm_core.evaluation.compare import Point
from ganlm_core.evaluation.scores import Row, Scores

MEASURES = {
    "bleu": [Measure("bleu4", "BLEU-4", "higher", "quality")],
    "validity": [Measure("process_nll", "process NLL", "lower", "quality")],
    "self-bleu": [Measure("self_bleu4", "Self-BLEU-4", "lower", "diversity")],
}


REAL = Point(0.5, 0.4)


STEEP = [Point(0.8, 0.6), Point(0.6, 0.4), Point(0.4, 0.2)]
"""Self-BLEU-4 and BLEU-4 at rising temperatures: at that of real text, 0.5, the quality is 0.3."""


def above(points: Sequence[Point], by: float) -> list[Point]:
    return [Point(x, y + by) for x, y, *_ in points]


def points(*pairs: tuple[float, float]) -> list[Point]:
    return [Point(*pair) for pair in pairs]


def scores(
    model: Sequence[Point],
    baseline: Sequence[Point] = (),
    beside: str = "run before GAN training",
    **conditions: object,
) -> Scores:
    curves = [("model", "run", model), ("baseline", beside, baseline), ("real", "real", [REAL])]
    rows = [
        Row(kind, title, temperature, 100, {"self_bleu4": x, "bleu4": y, "process_nll": -y})
        for kind, title, found in curves
        for temperature, (x, y, *_) in enumerate(found, start=1)
    ]
    conditions = {"corpus": "c", "sentences": 100, "test": {"sentences": 50}, "ganlm_version": "1", **conditions}
    return Scores(rows, MEASURES, {"seed": 0, **conditions})
