"""Figures as SVG text for any page: no background, lines and letters in the colour of the page, no dates."""

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, NamedTuple

from ganlm_core.system.printable import printable

_INK = "#010203"
"""Placeholder for the colour of the page until the SVG is written."""

COLOURS = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#ef4444", "#eab308", "#06b6d4", "#84868c")
"""Colours that can be told apart on white and on black."""

_LARGE = (5.2, 4.4)

_LEGEND = 64
"""Characters in a line of a legend; longer names are wrapped, so that the figure holds them."""

_LONGEST = 200
"""Characters of a text in a figure; longer texts are cut."""

_TICKS = 6
"""Intervals between the ticks of an axis, at most. Ticks take most of the time of a figure."""

_DIGIT = 7
"""The width of a digit in points."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ganlm",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.parse_math": False,  # a name with two dollar signs is a name
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "figure.figsize": (5.2, 3.1),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
    "grid.color": _INK,
}

_PRINT: dict[str, Any] = {"svg.fonttype": "path", "pdf.fonttype": 42, "figure.facecolor": "white"}
"""Changes for files of print quality: letters that need no font of the reader's machine."""

_DRAWING = Lock()


class Band(NamedTuple):
    """The lower and the upper edge of the area around a curve."""

    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True)
class Curve:
    """Points, joined by a line in their order if ``joined``, with ``labels`` beside them and a ``band`` around them.

    A curve without points is not drawn, and keeps its colour for the figures beside it.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    joined: bool = True
    labels: Sequence[str] = ()
    band: Band | None = None


@dataclass(frozen=True)
class Figure:
    """The content of a figure. ``levels`` are horizontal lines by name, to compare the curves with.

    Curves of one name have one colour. A ``large`` figure has its legend below it. ``caption``: what it shows, and
    which way is better.
    """

    title: str
    x: str
    y: str
    curves: Sequence[Curve]
    levels: Mapping[str, float] = field(default_factory=dict)
    logarithmic: bool = False
    large: bool = False
    caption: str = ""


def svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element. The same figure gives the same text."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure = _printable(figure)
    with _settings(_STYLE):
        text = io.StringIO()
        canvas = _canvas(figure, measured=figure.large)
        FigureCanvasSVG(canvas).print_svg(text, metadata={"Date": None, "Title": figure.title})
    whole = text.getvalue()
    return whole[whole.index("<svg") :].replace(_INK, "currentColor")


def printed(figure: Figure, form: str) -> bytes:
    """Return the figure as a ``pdf`` or ``svg`` file for print, its fonts embedded; SVG has letters as outlines.

    The same figure gives the same bytes.
    """
    data, figure = io.BytesIO(), _printable(figure)
    with _settings(_STYLE | _PRINT):
        dates = {"Date": None} if form == "svg" else {"CreationDate": None, "ModDate": None}
        _canvas(figure).savefig(data, format=form, metadata=dates | {"Title": figure.title})
    return data.getvalue().replace(_INK.encode(), b"#000000")


def _printable(figure: Figure) -> Figure:
    """Return a figure whose texts are printable, on one line and short. Names may be of another user's run."""

    def text(name: str) -> str:
        return printable(" ".join(name.split()), _LONGEST)

    curves = [replace(each, name=text(each.name), labels=[*map(text, each.labels)]) for each in figure.curves]
    levels = {text(name): value for name, value in figure.levels.items()}
    return replace(figure, title=text(figure.title), x=text(figure.x), y=text(figure.y), curves=curves, levels=levels)


@contextmanager
def _settings(chosen: dict[str, Any]) -> Iterator[None]:
    """Draw with the chosen settings of matplotlib. They are global, so only one thread draws at a time."""
    import matplotlib

    with _DRAWING, matplotlib.rc_context(chosen):  # type: ignore[arg-type]  # its type lists every key
        yield


def _canvas(figure: Figure, measured: bool = True) -> Any:
    """Return the drawn figure. ``measured``: with room for its texts in matplotlib's font, which takes twice as long.

    A page is read in fonts of the reader's machine, so the room is estimated for it.
    """
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=_LARGE if figure.large else None, layout="constrained" if measured else None)
    scale = "log" if figure.logarithmic else "linear"
    axes = canvas.add_subplot(xlabel=figure.x, ylabel=figure.y, xscale=scale, yscale=scale)
    if figure.logarithmic:
        for axis in (axes.xaxis, axes.yaxis):  # the formats of logarithmic axes are formulas, which are not parsed
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
    else:
        axes.locator_params(nbins=_TICKS)
    names = list(dict.fromkeys(curve.name for curve in figure.curves))
    drawn = [curve for curve in figure.curves if curve.x]
    unnamed = set(names)
    for curve in drawn:
        label = textwrap.fill(curve.name, _LEGEND) if curve.name in unnamed else None
        unnamed.discard(curve.name)
        _draw(axes, curve, COLOURS[names.index(curve.name) % len(COLOURS)], label)
    for (name, value), style in zip(figure.levels.items(), ("--", ":", "-.") * len(figure.levels), strict=False):
        axes.axhline(value, color=_INK, linestyle=style, linewidth=1, alpha=0.6, label=name)
    if len(drawn) + len(figure.levels) > 1:
        canvas.legend(loc="outside lower left") if figure.large else axes.legend()
    if not measured:
        width, height = canvas.get_size_inches() * 72
        ticks = axes.yaxis.get_major_formatter().format_ticks(axes.get_yticks().tolist())
        left = 36 + _DIGIT * max(map(len, ticks), default=0)
        canvas.subplots_adjust(left / width, 42 / height, 1 - 12 / width, 1 - 18 / height)
    return canvas


def _draw(axes: Any, curve: Curve, colour: str, label: str | None) -> None:
    few = len(curve.x) < 40
    if curve.band is not None:
        axes.fill_between(curve.x, curve.band.low, curve.band.high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(
        curve.x,
        curve.y,
        color=colour,
        label=label,
        linestyle="-" if curve.joined else "",
        linewidth=1.4,
        marker="o" if few else None,
        markersize=4 if curve.joined else 7,
    )
    for x, y, label in zip(curve.x, curve.y, curve.labels, strict=False):
        axes.annotate(label, (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8)
