"""Figures as SVG: the colour of the page, the same text each time, and names as they are."""

import threading
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import matplotlib
import pytest

from ganlm_core.evaluation import figures
from ganlm_core.evaluation.figures import COLOURS, Band, Curve, Figure, printed, svg


def test_a_figure_takes_the_colour_of_its_page_and_is_the_same_each_time() -> None:
    figure = Figure("losses", "step", "loss", [Curve("D", [0, 1, 2], [3.0, 2.0, 1.0]), Curve("G", [0, 1], [1.0, 4.0])])
    text = svg(figure)
    assert text == svg(figure)
    root = ElementTree.fromstring(text)
    words = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"step", "loss", "D", "G"} <= set(words)
    assert "currentColor" in text
    assert "#ffffff" not in text.lower()


def words_of(text: str) -> list[str]:
    root = ElementTree.fromstring(text)
    return ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_names_are_shown_as_they_are() -> None:
    """Two dollar signs are no formula, and what is a tag in a page is text in a figure."""
    names = ["$x^$", "<script>", "a & b"]
    text = svg(Figure("losses", "step", "loss", [Curve(name, [0, 1], [1, 2]) for name in names]))
    assert set(names) <= set(words_of(text))


def test_texts_are_printable_and_short(recwarn: pytest.WarningsRecorder) -> None:
    """Names in metrics.jsonl may be anything, and matplotlib warns of a glyph that its font lacks."""
    name = "a\x1b[31m\tb\n\u202e" + "c" * 500
    figure = Figure(name, name, name, [Curve(name, [0, 1], [1, 2], labels=[name])], {name: 1.0}, large=True)
    text = svg(figure)
    assert sum(word.startswith(r"a\x1b[31m b \u202eccc") for word in words_of(text)) >= 4
    assert "\x1b" not in text and "c" * 200 not in text
    assert printed(figure, "pdf").startswith(b"%PDF")
    assert not [each for each in recwarn if "Glyph" in str(each.message)]


def test_a_long_name_is_wrapped_in_the_legend() -> None:
    name = "transformer against conv by autoregressive with algorithm two, loss focal before GAN training"
    text = svg(Figure("quality", "x", "y", [Curve(name, [0, 1], [1, 2])], {"real": 1.0}, large=True))
    assert not any(len(line) > 64 for line in words_of(text))
    assert "transformer against conv by autoregressive with algorithm two," in words_of(text)


def test_a_band_is_drawn_around_its_curve() -> None:
    plain = Curve("a", [1, 2], [1.0, 2.0])
    banded = Curve("a", [1, 2], [1.0, 2.0], band=Band([0.5, 1.5], [1.5, 2.5]))
    drawn = [svg(Figure("f", "x", "y", [each])) for each in (plain, banded)]
    assert [text.count("FillBetween") for text in drawn] == [0, 1]


def test_files_for_print_have_their_fonts_in_them() -> None:
    """SVG has letters as outlines, so no text is left; PDF has a TrueType font."""
    figure = Figure("f", "steps", "loss", [Curve("a", [1, 2], [1.0, 2.0])])
    vector, pdf = (printed(figure, form) for form in ("svg", "pdf"))
    assert b"<text" not in vector and b"<path" in vector
    assert pdf.startswith(b"%PDF") and b"/FontFile2" in pdf and b"CreationDate" not in pdf
    assert printed(figure, "pdf") == pdf and printed(figure, "svg") == vector


def test_threads_draw_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of matplotlib are global: threads that draw together change each other's, and leave them changed."""
    figure = Figure("f", "steps", "loss", [Curve("a", [1, 2], [1.0, 2.0])])
    alone, settings = (svg(figure), printed(figure, "svg")), dict(matplotlib.rcParams)
    canvas, meeting, met = figures._canvas, threading.Barrier(2), []

    def meet(*given: Any, **named: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            met.append(meeting.wait(timeout=0.5))
        return canvas(*given, **named)

    monkeypatch.setattr(figures, "_canvas", meet)
    with ThreadPoolExecutor(2) as pool:
        page, paper = pool.submit(svg, figure), pool.submit(printed, figure, "svg")
    assert (page.result(), paper.result()) == alone and not met
    assert dict(matplotlib.rcParams) == settings


def test_a_curve_without_points_is_not_drawn_and_keeps_the_colours_of_the_others() -> None:
    drawn = svg(Figure("valid", "step", "valid", [Curve("mle", [], []), Curve("seqgan", [1, 2], [0.1, 0.2])]))
    assert COLOURS[1] in drawn and COLOURS[0] not in drawn
    assert "mle" not in words_of(drawn)


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e6])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_the_labels_of_both_axes_are_numbers_inside_the_figure(scale: float, logarithmic: bool) -> None:
    curve = Curve("a", [1, 30, 2000], [1.2345 * scale, 20 * scale, 500 * scale])
    root = ElementTree.fromstring(svg(Figure("f", "step", "loss", [curve], logarithmic=logarithmic)))
    texts = list(root.iter("{http://www.w3.org/2000/svg}text"))
    words = ["".join(element.itertext()) for element in texts]
    assert {"step", "loss"} < set(words)
    numbers = [word for word in words if word not in ("step", "loss")]
    assert len(numbers) >= 4 and all(float(word.replace("\u2212", "-")) >= -100 for word in numbers)
    for element, word in zip(texts, words, strict=True):  # a digit is 7 points wide, and text ends at x on this axis
        if "text-anchor: end" in element.attrib["style"]:
            assert float(element.attrib["x"]) > 7 * len(word)
