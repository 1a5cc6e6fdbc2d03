"""The live page in a real browser, used as a person would, on a phone and on a desk.

Skipped where there is no Chromium; ``CHROMIUM`` names another program than the one on the path.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from ganlm_core.training.train import execute
from tests.conftest import WARM, Ganlm, tiny_config
from tests.whole.serving import served

WORDS, AT_ONCE = "lstm-conv.autoregressive-grammar", "mlp-conv.one-shot-grammar"
PROGRAM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PATIENCE = 30_000
"""Milliseconds for which a test waits: a busy machine is no fault of the page."""

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: the page is not seen in a browser")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("runs")
    execute(tiny_config("lstm", "conv", algorithm_options=WARM, evaluate_every=3), out=folder / "play")
    with served("play", f"zoo:{WORDS}", f"zoo:{AT_ONCE}", cwd=folder) as (found, *_):
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=PROGRAM, args=QUIET)
        yield found
        found.close()


@pytest.fixture(params=[(390, "dark"), (1280, "light")], ids=["phone", "desk"])
def page(browser: Browser, url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, which must neither complain nor be wider than its window."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    page, complaints = context.new_page(), list[str]()
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    yield page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    context.close()


def _is_complaint(message: ConsoleMessage) -> bool:
    """An answer of 400 is what the page tells its user about, and no fault of it."""
    return message.type == "error" and "status of 400" not in message.text


def choose(page: Page, place: str, model: str = "") -> None:
    if model:
        page.get_by_label("Model").select_option(model)
    page.get_by_role("tab", name=place).click()


def check_accessibility(page: Page) -> None:
    found = Axe().run(page)
    serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
    assert not serious, [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in serious]


def test_watch_shows_curves_captions_and_samples_through_time(page: Page) -> None:
    expect(page.get_by_text("finished at step 6 of 6")).to_be_visible(timeout=PATIENCE)
    losses = page.locator("figure", has=page.get_by_role("heading", name="losses"))
    expect(losses.locator("svg")).to_be_visible()
    expect(losses.locator("figcaption")).to_contain_text("Loss of each phase")
    assert page.locator("figure figcaption").count() == page.locator("figure").count() >= 5
    expect(page.get_by_text("after step 6")).to_be_visible()
    page.get_by_label("samples of play through time").press("ArrowLeft")
    expect(page.get_by_text("after step 3")).to_be_visible()
    check_accessibility(page)


def test_write_gives_what_the_command_gives_and_shows_the_command(page: Page, ganlm: Ganlm) -> None:
    choose(page, "Write", WORDS)
    page.get_by_label("Prompt").fill("the dog")
    page.get_by_label("Sentences").fill("3")
    page.get_by_label("Seed").fill("7")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator("#sentences li")).to_have_count(3)
    command = page.locator("#command").inner_text()
    assert command == f"ganlm sample zoo:{WORDS} -n 3 --prompt 'the dog' --seed 7"
    _, out, _ = ganlm("sample", f"zoo:{WORDS}", "-n", 3, "--prompt", "the dog", "--seed", 7)
    assert page.locator("#sentences li").all_inner_texts() == out.splitlines()
    page.locator("#words button").first.focus()
    expect(page.locator("#alternatives tr")).to_have_count(5)
    page.get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == command
    check_accessibility(page)


def test_write_selects_by_the_discriminator(page: Page) -> None:
    choose(page, "Write", AT_ONCE)
    expect(page.get_by_label("Prompt")).to_be_disabled()
    page.get_by_label("Selection").select_option("rejection")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator("#sentences li")).to_have_count(5)


def test_write_says_what_is_wrong_with_a_prompt(page: Page) -> None:
    choose(page, "Write", WORDS)
    page.get_by_label("Prompt").fill("the wug")
    with page.expect_response("**/v1/sample"):
        page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator("#write-error")).to_contain_text("wug")


def test_judge_reads_along_and_marks_unknown_words(page: Page) -> None:
    choose(page, "Judge", WORDS)
    page.get_by_label("Sentence", exact=True).press_sequentially("the wug sleeps .", delay=5)
    expect(page.locator("#judge-words .word")).to_have_count(4)
    expect(page.locator("#judge-words .unknown")).to_have_count(1)
    expect(page.locator("#judge-number")).to_contain_text("% real")
    check_accessibility(page)


def test_a_duel_is_played_to_its_end_with_the_keyboard(page: Page) -> None:
    choose(page, "Duel", WORDS)
    page.get_by_role("button", name="Start").click()
    for number in range(20):
        expect(page.locator("#duel-count")).to_have_text(f"Sentence {number + 1} of 20")
        page.keyboard.press("r" if number % 2 else "g")
        expect(page.locator("#duel-answer")).to_be_visible()
        expect(page.locator("#duel-score")).to_contain_text(f"of {number + 1}")
        if number == 0:
            check_accessibility(page)
        if number < 19:
            expect(page.get_by_role("button", name="Next")).to_be_focused()
            page.keyboard.press("Enter")
    expect(page.locator("#duel-score")).to_contain_text("of 20")
    expect(page.get_by_role("button", name="Start again")).to_be_visible()


def test_the_places_are_reached_by_keyboard_and_by_link(page: Page, url: str) -> None:
    page.get_by_role("tab", name="Watch").focus()
    for place in ("write", "judge", "duel"):
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"#{place}")).to_be_visible()
    page.goto(f"{url}/#judge")
    page.reload()
    expect(page.locator("#judge")).to_be_visible()


def test_a_missing_ability_of_a_bundle_is_reported(browser: Browser, tmp_path: Path) -> None:
    """One trained by maximum likelihood has no discriminator."""
    with served("zoo:lstm.mle-grammar", cwd=tmp_path) as (url, *_):
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        for place in ("Judge", "Duel"):
            page.get_by_role("tab", name=place).click()
            expect(page.locator(f"#{place.lower()}-about")).to_contain_text("no discriminator that can judge")
        page.get_by_role("tab", name="Watch").click()
        expect(page.get_by_text("No run is served.")).to_be_visible()
        page.close()
