"""``ganlm compare`` on evaluations that the runs have: groups, titles, the page, and runs that are refused."""

import json
from pathlib import Path
from typing import Any

from ganlm_core.config.run_config import make_config
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


def test_methods_with_equal_titles_are_shown_with_the_paths_of_their_runs(ganlm: Ganlm) -> None:
    """The folders have the same name, so the name alone would join two methods."""
    run("x/run", scores(STEEP), 0)
    run("y/run", scores(above(STEEP, -0.1)), 0, steps=7)
    code, out, err = ganlm("compare", "x/run", "y/run", "--json")
    assert code == 0, err
    title = "lstm against conv by autoregressive"
    assert [one["title"] for one in json.loads(out)["standings"]] == [f"{title} (x/run)", f"{title} (y/run)"]


def test_the_page_has_the_verdicts_the_values_and_the_samples(ganlm: Ganlm) -> None:
    run("one", scores(above(STEEP, 0.2), STEEP), 0)
    run("<two>", scores(above(STEEP, 0.22)), 1)
    RunFolder(Path("one")).write_samples(None, ["a dog & a cat"])
    code, out, err = ganlm("compare", "one", "<two>", "--out", "page.html")
    assert (code, err) == (0, "page: page.html\n")
    page = Path("page.html").read_text()
    title = "lstm against conv by autoregressive"
    verdicts = [
        f"{title} is ahead of {title}, before by 0.210 BLEU-4; with one seed of {title}, before this may "
        "be chance: train it with other values of --seed",
        f"{title} is better than real text (0.510 against 0.400): mode seeking",
    ]
    assert out.splitlines()[-2:] == verdicts
    assert all(f"<li>{verdict}</li>" in page for verdict in verdicts)
    assert page.count("<td>0.510*</td>") == 1  # where diversity is matched
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
