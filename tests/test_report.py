"""The report: what is on the page, and that a browser shows it."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ganlm_core import report
from ganlm_core.cli.output import results
from ganlm_core.figures import Curve, Figure, svg
from ganlm_core.plugins import default_host
from ganlm_core.runs import RunFolder
from tests.conftest import Ganlm

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RUN = ["run", "--gen", "ngram-mlp", "--disc", "mlp", "--steps", "6", "--batch-size", "8", "--evaluation-samples", "20"]
SMALL = ["--corpus.size", "300", "--log-every", "1", "--evaluate-every", "2", "--gen.hidden-size", "8", "--out", "run"]


def test_a_figure_takes_the_colour_of_its_page_and_is_the_same_each_time() -> None:
    figure = Figure("losses", "step", "loss", [Curve("D", [0, 1, 2], [3.0, 2.0, 1.0]), Curve("G", [0, 1], [1.0, 4.0])])
    text = svg(figure)
    assert text == svg(figure)
    root = ElementTree.fromstring(text)
    words = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"step", "loss", "D", "G"} <= set(words)
    assert "currentColor" in text
    assert "#ffffff" not in text.lower()


def test_curves_of_one_kind_share_a_figure() -> None:
    records = [
        {"step": 1, "mle_loss": 4.0, "mle_gradient_norm": 1.0, "tokens": 9},
        {"step": 2, "discriminator_loss": 1.5, "generator_loss": 0.5, "entropy": 2.0, "tokens": 20},
    ]
    found = {figure.title: [curve.name for curve in figure.curves] for figure in report.training_figures(records)}
    assert found == {
        "losses": ["mle", "discriminator", "generator"],
        "gradient norms": ["mle"],
        "entropy": ["entropy"],
    }
    glances = [{"step": 2, "evaluation": {"valid": 0.5}}]
    [valid] = report.evaluation_figures(glances, {"real": {"valid": 1.0}, "unigram": {"valid": 0.0}})
    assert (valid.curves[0].x, valid.curves[0].y) == ([2.0], [0.5])
    assert valid.levels == {"real text": 1.0, "unigram model": 0.0}


def test_a_long_curve_is_drawn_by_the_means_of_neighbours() -> None:
    records = [{"step": step, "loss": float(step % 2)} for step in range(1, 2 * report.POINTS + 1)]
    [figure] = report.training_figures(records)
    [curve] = figure.curves
    assert (len(curve.x), curve.x[0], set(curve.y)) == (report.POINTS, 1.5, {0.5})


def test_the_nearest_training_sentence_shares_most_words_and_pairs() -> None:
    training = ["a dog runs .", "the cat sleeps .", "the dog runs in the city ."]
    one, other, same = report.nearest(["the dog runs .", "zebra", "the cat sleeps ."], training)
    # "the dog runs ." has 4 words and 3 pairs; with "a dog runs ." it shares dog, runs, . and "dog runs", "runs .".
    assert (one.training, one.shared) == ("a dog runs .", 2 * 5 / (7 + 7))
    assert (other.training, other.shared) == ("", 0.0)
    assert (same.training, same.shared) == ("the cat sleeps .", 1.0)


def test_a_run_ends_with_a_report_of_itself(ganlm: Ganlm) -> None:
    code, out, _ = ganlm(*RUN, *SMALL)
    assert code == 0
    assert out.splitlines()[-1] == "report: run/report.html"
    page = Path("run/report.html").read_text()
    for text in ("ngram-mlp against mlp on grammar", "before GAN training", "held-out NLL", "real text", "step 2"):
        assert text in page
    assert "ganlm run --config run/config.toml" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//|<script|@import|url\(http""", page)
    for line in RunFolder(Path("run")).last_samples()[:3]:
        assert line in page
    again = report.render(RunFolder(Path("run")), default_host(), results(report.evaluation_of(RunFolder(Path("run")))))
    assert again == page


def test_a_run_that_has_not_finished_and_lost_its_data_has_a_report_too(ganlm: Ganlm) -> None:
    Path("my.txt").write_text("".join(f"<b>{n} dogs</b> run .\n" for n in range(200)))
    assert ganlm(*RUN, *SMALL[2:], "--data", "my.txt")[0] == 0
    shutil.rmtree("run/bundle")
    Path("my.txt").unlink()
    assert ganlm("report", "run")[:2] == (0, "run/report.html\n")
    page = Path("run/report.html").read_text()
    assert "Results" not in page and "Nearest training sentences" not in page
    assert "<b>" not in page.replace("&lt;b&gt;", "")


def test_what_is_no_run_has_no_report(ganlm: Ganlm) -> None:
    code, _, err = ganlm("report", "nothing")
    assert (code, err) == (
        2,
        "ganlm: error: there is no run at nothing; give the folder that 'ganlm run' printed\n",
    )


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_the_report_without_a_sideways_scroll(ganlm: Ganlm, width: int) -> None:
    assert ganlm(*RUN, *SMALL)[0] == 0
    page = Path("run/report.html")
    found = "[document.documentElement.scrollWidth, document.querySelectorAll('svg').length]"
    Path("probe.html").write_text(
        page.read_text().replace("</body>", f"<script>document.title = {found}</script></body>")
    )
    shown = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-sync", "--no-first-run", f"--user-data-dir={Path('chromium').absolute()}",
         f"--window-size={width},900", "--dump-dom", Path("probe.html").absolute().as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    title = re.search(r"<title>(\d+),(\d+)</title>", shown.stdout)
    assert title, shown.stderr
    # Chromium makes no window narrower than 500 pixels.
    assert int(title[1]) <= max(width, 500)
    assert int(title[2]) == page.read_text().count("<svg")
