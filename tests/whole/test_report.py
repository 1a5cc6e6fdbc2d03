"""``ganlm report``: what is on the page, and that a browser shows it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ganlm_core.bundle import load
from ganlm_core.data.corpus import spread
from ganlm_core.data.options import GrammarOptions
from ganlm_core.evaluation import report
from ganlm_core.evaluation.scores import Scores
from ganlm_core.plugins.host import default_host
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.train import execute
from tests.conftest import WARM, Ganlm, tiny_config

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


RUN = ["run", "--gen", "ngram-mlp", "--disc", "mlp", "--steps", "6", "--batch-size", "8", "--evaluation-samples", "20"]


SMALL = ["--corpus.size", "300", "--log-every", "1", "--evaluate-every", "2", "--gen.hidden-size", "8", "--out", "run"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a second with a warm-up, on 300 sentences of the grammar, without a report."""
    config = tiny_config("ngram-mlp", "mlp", algorithm_options=WARM, evaluate_every=2)
    return execute(config, out=tmp_path_factory.mktemp("runs") / "run").path


@pytest.fixture
def run(ganlm: Ganlm, trained: Path) -> Path:
    """A copy of it in the empty folder."""
    return Path(shutil.copytree(trained, "run"))


def test_a_run_ends_with_a_report(ganlm: Ganlm) -> None:
    code, out, _ = ganlm(*RUN, *SMALL)
    assert code == 0
    assert out.splitlines()[-1] == "report: run/report.html"
    page = Path("run/report.html").read_text()
    for text in (
        "ngram-mlp against mlp by autoregressive on grammar",
        "before GAN training",
        "held-out NLL",
        "real text",
        "step 2",
    ):
        assert text in page
    assert "ganlm run --config run/config.toml" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//|<script|@import|url\(http""", page)
    for line in RunFolder(Path("run")).last_samples()[:3]:
        assert line in page
    again = report.render(RunFolder(Path("run")), default_host())
    assert again == page


def test_an_unfinished_run_whose_data_are_gone_has_a_report_too(ganlm: Ganlm) -> None:
    Path("my.txt").write_text("".join(f"<b>{n} dogs</b> run .\n" for n in range(200)))
    assert ganlm(*RUN, *SMALL[2:], "--data", "my.txt")[0] == 0
    shutil.rmtree("run/bundle")
    Path("my.txt").unlink()
    assert ganlm("report", "run")[:2] == (0, "run/report.html\n")
    page = Path("run/report.html").read_text()
    assert "Results" not in page and "Nearest training sentences" not in page
    assert "<b>" not in page.replace("&lt;b&gt;", "")


def test_a_path_without_a_run_is_refused(ganlm: Ganlm) -> None:
    code, _, err = ganlm("report", "nothing")
    assert (code, err) == (
        2,
        "ganlm: error: there is no run at nothing; give the folder that 'ganlm run' printed\n",
    )


@pytest.mark.usefixtures("drawn_figures")
def test_a_report_shows_the_evaluation_or_draws_fewer_sentences(ganlm: Ganlm, run: Path) -> None:
    assert ganlm("report", "run")[0] == 0
    page, corpus = (
        (run / "report.html").read_text(),
        default_host().build("corpus", "grammar", GrammarOptions(size=300)),
    )
    assert f"{len(corpus.test)} sentences at each temperature,\ndrawn for this page" in page
    warm_up = "ngram-mlp against mlp by autoregressive before GAN training"
    assert page.count(warm_up) >= 2  # a line and a row at each temperature
    assert not (run / "evaluation.json").exists()
    assert ganlm("eval", "run", "-n", 12, "--temperatures", "0.5,1", "--metrics", "bleu,self-bleu")[0] == 0
    kept = Scores.read(run / "evaluation.json")
    assert ganlm("report", "run")[0] == 0
    page = (run / "report.html").read_text()
    assert "12 sentences at each temperature,\nmeasured by <code>ganlm eval</code>" in page
    assert all(f"<td>{kept.cell(row, each)}</td>" in page for row in kept.rows for each in kept.measures["bleu"])
    assert ganlm("eval", "run", "--metrics", "distinct", "--temperatures", "1", "--force")[0] == 0
    assert ganlm("report", "run")[0] == 0
    assert "drawn for this page" in (run / "report.html").read_text()


def test_words_are_coloured_by_their_weight_for_the_discriminator(ganlm: Ganlm, run: Path) -> None:
    """As ``ganlm score --explain`` has it; the largest weight has the full colour."""
    assert ganlm("report", "run")[0] == 0
    page, model = (run / "report.html").read_text(), load.load(run)
    texts = RunFolder(run).last_samples()[: report.SHOWN]
    corpus = default_host().build("corpus", "grammar", GrammarOptions(size=300))
    weights = [weight for text in [*texts, *spread(corpus.test, report.REAL)] for _, weight in model.explain(text)]
    assert len(weights) > 10
    shown = re.findall(r'<span class="(real|fake)" style="--weight: ([\d.]+)" title="([-+.\d]+)">', page)
    assert [(kind, title) for kind, _, title in shown] == [
        ("real" if weight > 0 else "fake", f"{weight:+.2f}") for weight in weights
    ]
    full = max(map(abs, weights))
    assert [float(shade) for _, shade, _ in shown] == pytest.approx([0.6 * abs(w) / full for w in weights], abs=0.006)


def test_without_a_discriminator_no_words_are_coloured(ganlm: Ganlm, run: Path) -> None:
    assert ganlm("report", "run")[0] == 0
    assert "discriminator finds fake" in (run / "report.html").read_text()
    shutil.rmtree(run / "bundle")
    shutil.copytree(run / "before", run / "bundle")
    assert ganlm("report", "run")[0] == 0
    page = (run / "report.html").read_text()
    assert "Quality and diversity" in page and "finds fake" not in page


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_shows_the_pages_without_a_horizontal_scroll(ganlm: Ganlm, run: Path) -> None:
    assert ganlm("eval", "run", "--temperatures", "0.5,1")[0] == 0
    assert ganlm("report", "run")[0] == ganlm("compare", "run")[0] == 0
    for page in (run / "report.html", Path("compare.html")):
        for width in (390, 1200):
            shows(page, width)


def shows(page: Path, width: int) -> None:
    """Fail unless a window of this width shows all figures and nothing reaches beyond its right edge.

    The page itself runs no script: the copy that is measured lacks its Content-Security-Policy.
    """
    found = "[document.documentElement.scrollWidth, document.querySelectorAll('svg').length]"
    text = re.sub("<meta http-equiv.*", "", page.read_text())
    Path("probe.html").write_text(text.replace("</body>", f"<script>document.title = {found}</script></body>"))
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
