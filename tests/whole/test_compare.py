"""``ganlm compare`` on evaluations that the runs have: groups, titles, the page, and runs that are refused."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.config.make_config import make_config
from ganlm_core.evaluation.scores import Scores
from ganlm_core.training.run_folder import RunFolder
from tests.conftest import Ganlm
from tests.evaluations import STEEP, above, scores


def run(name: str, evaluation: Scores, seed: int, generator: str = "lstm", **settings: Any) -> None:
    config = make_config(generator, "conv", seed=seed, **settings)
    folder = RunFolder.make(Path(name), name)
    folder.start(config)
    evaluation.write(folder.evaluation)


def test_runs_that_differ_only_in_their_seed_are_one_method(ganlm: Ganlm) -> None:
    run("one", scores(STEEP), 0)
    run("two", scores(above(STEEP, 0.02)), 1)
    run("three", scores(above(STEEP, -0.1)), 0, "transformer")
    code, out, err = ganlm("compare", "one", "two", "three", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [(one["title"], one["seeds"]) for one in found["standings"]] == [
        ("lstm against conv by autoregressive", 2),
        ("transformer against conv by autoregressive", 1),
    ]
    assert err == "page: compare.html\n"
    refused = "compare.html already exists; add --force to replace it, or choose another --out"
    assert ganlm("compare", "one", "two", "three") == (2, "", f"ganlm: error: {refused}\n")
    lines = ganlm("compare", "one", "two", "three", "--force")[1].splitlines()
    assert lines[0] == "BLEU-4 where Self-BLEU-4 is 0.500; real text has 0.500"
    assert lines[-1] == found["verdicts"][0]
    assert lines[-1] == (
        "lstm against conv by autoregressive is ahead of transformer against conv by autoregressive by 0.110 BLEU-4; "
        "with one seed of transformer against conv by autoregressive this may be chance: train it with other values of "
        "--seed"
    )


def test_a_method_that_ignores_its_discriminator_has_no_discriminator_in_its_title(ganlm: Ganlm) -> None:
    run("one", scores(STEEP), 0)
    RunFolder(Path("one")).write_info(unused=["discriminator"])
    code, out, err = ganlm("compare", "one", "--json")
    assert code == 0, err
    assert [each["title"] for each in json.loads(out)["standings"]] == ["lstm by autoregressive"]


def test_methods_with_equal_titles_are_shown_with_the_settings_that_differ(ganlm: Ganlm) -> None:
    """The folders have the same name, and the titles are equal: the settings that differ tell the methods apart."""
    run("x/run", scores(STEEP), 0)
    run("y/run", scores(above(STEEP, -0.1)), 0, steps=7)
    code, out, err = ganlm("compare", "x/run", "y/run", "--json")
    assert code == 0, err
    title = "lstm against conv by autoregressive"
    assert [one["title"] for one in json.loads(out)["standings"]] == [f"{title} (steps 3000)", f"{title} (steps 7)"]


def test_the_page_has_the_verdicts_the_values_and_the_samples(ganlm: Ganlm) -> None:
    run("one", scores(above(STEEP, 0.2), STEEP), 0)
    run("<two>", scores(above(STEEP, 0.22)), 1)
    RunFolder(Path("one")).write_samples(None, ["a dog & a cat"])
    code, out, err = ganlm("compare", "one", "<two>", "--out", "page.html")
    assert (code, err) == (0, "page: page.html\n")
    page = Path("page.html").read_text()
    title = "lstm against conv by autoregressive"
    verdicts = [
        f"{title} is ahead of {title} before GAN training by 0.210 BLEU-4; with one seed of {title} before "
        "GAN training this may be chance: train it with other values of --seed",
        f"{title} is better than real text (0.510 against 0.400): mode seeking",
    ]
    assert out.splitlines()[-2:] == verdicts
    assert all(f"<li>{verdict}</li>" in page for verdict in verdicts)
    assert page.count(">0.510 ± 0.014*</td>") == 1  # where diversity is matched
    assert page.count("<td>0.610*</td>") == 1  # the mean at the second temperature
    assert "<li>a dog &amp; a cat</li>" in page
    assert "ganlm run --config one/config.toml\nganlm run --config &#39;&lt;two&gt;/config.toml&#39;" in page
    assert "ganlm compare one &#39;&lt;two&gt;&#39; --quality bleu4 --diversity self_bleu4" in page


def test_paths_without_a_run_and_damaged_evaluations_are_refused(ganlm: Ganlm) -> None:
    message = "there is no run at nowhere; give the folder that 'ganlm run' printed"
    assert ganlm("compare", "nowhere") == (2, "", f"ganlm: error: {message}\n")
    run("one", scores(STEEP), 0)
    Path("one/evaluation.json").write_text('{"format": "other"}')
    message = "one/evaluation.json is not an evaluation of this version; make it again: ganlm eval RUN --force"
    assert ganlm("compare", "one") == (4, "", f"ganlm: error: {message}\n")
    Path("one/evaluation.json").write_text('{"format": "ganlm-evaluation", "format_version": 1}')
    message = "one/evaluation.json is damaged (KeyError('measures')); make it again: ganlm eval RUN --force"
    assert ganlm("compare", "one") == (4, "", f"ganlm: error: {message}\n")


def test_the_table_has_the_forms_of_manuscripts_and_the_curves_are_files(ganlm: Ganlm) -> None:
    for seed in (0, 1):
        run(f"r{seed}", scores(above(STEEP, 0.02 * seed)), seed)
        RunFolder(Path(f"r{seed}")).metrics.append({"step": 1, "evaluation": {"distinct": 0.5 + seed / 10}})
    command = ["compare", "r0", "r1", "--force"]
    latex = ganlm(*command, "--format", "latex", "--measures", "bleu4")[1]
    assert r"lstm against conv by autoregressive & 2 & $0.310 \pm 0.014$ & $0.610 \pm 0.014$ \\" in latex
    lines = ganlm(*command, "--format", "csv")[1].splitlines()
    assert lines[0].startswith("name,T,seeds,BLEU-4,BLEU-4 sd,BLEU-4 n") and len(lines) == 5
    assert ganlm(*command, "--format", "markdown")[1].startswith("|  | seeds | BLEU-4 at equal diversity ↑ |")
    code, _, err = ganlm(*command, "--curves", "curves")
    assert code == 0 and err == "curves: curves\npage: compare.html\n"
    assert {path.name for path in Path("curves").iterdir()} == {
        "curves.csv", "distinct.pdf", "distinct.svg", "quality-and-diversity.pdf", "quality-and-diversity.svg"
    }  # fmt: skip


def test_the_page_fits_and_its_table_sorts_in_a_browser(ganlm: Ganlm) -> None:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here: the page is not seen in a browser")
    from playwright.sync_api import sync_playwright

    run("one", scores(STEEP), 0)
    run("two", scores(above(STEEP, 0.2)), 0, "transformer")
    assert ganlm("compare", "one", "two")[0] == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for width in (390, 1280):
            page, complaints = browser.new_page(viewport={"width": width, "height": 900}), list[str]()
            page.on("console", lambda message, told=complaints: told.append(message.text))
            page.goto(Path("compare.html").resolve().as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            names = page.locator("table.sortable tbody td:first-child")
            quality = page.locator("table.sortable th button").nth(2)
            quality.click()
            assert [each.split()[0] for each in names.all_inner_texts()] == ["lstm", "real", "transformer"]
            quality.click()
            assert [each.split()[0] for each in names.all_inner_texts()] == ["transformer", "real", "lstm"]
            assert complaints == []
        browser.close()


def test_runs_are_compared_at_values_that_the_user_names(ganlm: Ganlm) -> None:
    """STEEP has a BLEU-4 of 0.6 and of 0.3 where its Self-BLEU-4 is 0.8 and 0.5."""
    run("one", scores(STEEP), 0)
    arguments = ["compare", "one", "--quality", "bleu4", "--at", "self_bleu4=0.8,0.5", "--force"]
    code, out, err = ganlm(*arguments)
    assert code == 0, err
    assert [line for line in out.splitlines() if line.startswith("BLEU-4 where")] == [
        "BLEU-4 where Self-BLEU-4 is 0.8; real text has 0.500",
        "BLEU-4 where Self-BLEU-4 is 0.5; real text has 0.5",
    ]
    found = json.loads(ganlm(*arguments, "--json")[1])
    assert found["standings"][0]["quality"] == pytest.approx(0.6)
    assert found["also"][0]["standings"][0]["quality"] == pytest.approx(0.3)
    header, *_ = ganlm(*arguments, "--format", "markdown")[1].splitlines()
    assert "BLEU-4 at Self-BLEU-4 0.8 ↑" in header and "BLEU-4 at Self-BLEU-4 0.5 ↑" in header
    assert "--at self_bleu4=0.8,0.5" in Path("compare.html").read_text()


def test_a_value_that_no_run_reaches_is_refused_in_one_line(ganlm: Ganlm) -> None:
    run("one", scores(STEEP), 0)
    code, out, err = ganlm("compare", "one", "--at", "self_bleu4=0.9")
    assert (code, out) == (2, "")
    assert err == (
        "ganlm: error: no model reaches Self-BLEU-4 0.9: they have 0.4 to 0.8; evaluate at other temperatures: "
        "ganlm eval RUN --temperatures 0.5,0.75,1,1.25,1.5 --force\n"
    )
