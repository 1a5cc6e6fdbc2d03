"""Figures as SVG: the colour of the page, the same text each time, and names as they are."""

import xml.etree.ElementTree as ElementTree

from ganlm_core.evaluation.figures import Curve, Figure, svg


def test_a_figure_takes_the_colour_of_its_page_and_is_the_same_each_time() -> None:
    figure = Figure("losses", "step", "loss", [Curve("D", [0, 1, 2], [3.0, 2.0, 1.0]), Curve("G", [0, 1], [1.0, 4.0])])
    text = svg(figure)
    assert text == svg(figure)
    root = ElementTree.fromstring(text)
    words = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"step", "loss", "D", "G"} <= set(words)
    assert "currentColor" in text
    assert "#ffffff" not in text.lower()
