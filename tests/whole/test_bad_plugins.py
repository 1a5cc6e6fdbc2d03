"""A bad plugin is harmless: each is installed, and users of other plugins notice only what they are told."""

import json
import os
import re
from pathlib import Path

import pytest

from ganlm_core.components import KINDS
from ganlm_core.plugins.host import default_host
from tests.installed import Told, ganlm, install

HANG = "import time; time.sleep(600)"
LIMIT = 3
"""Seconds: many times what a good plugin takes, also on a machine that is busy."""

TINY = ["--steps", 3, "--batch-size", 8, "--corpus.size", 300, "--evaluation-samples", 20, "--device", "cpu"]
TINY += ["--log-every", 1, "--checkpoint-every", 2, "--gen.hidden-size", 8, "--gen.embedding-size", 8]

GENERATOR = """
@hookimpl
def ganlm_components():
    yield ComponentSpec("generator", "{name}", "{target}", LSTMOptions)
"""
OPTIONS = "from ganlm_lstm.options import LSTMGeneratorOptions as LSTMOptions\n"

TIRES = (
    OPTIONS
    + GENERATOR.format(name="tires", target="ganlm_bad_tires:make")
    + """
def make(shape, options):
    from pathlib import Path

    from ganlm_lstm.networks import LSTMGenerator

    class Tires(LSTMGenerator):
        calls = 0

        def advance(self, tokens, state):
            Tires.calls += self.training
            if Tires.calls > 2 and Path("tired").exists():  # in training, not in the rehearsal before it
                raise ValueError("too tired")
            return super().advance(tokens, state)

    return Tires(shape, options)
"""
)
WATCHES = """
@hookimpl
def ganlm_step_ended(step, metrics):
    raise ValueError("not this step")
"""
METRIC = """
from ganlm_core.metrics.metric import Measured, Metric
@hookimpl
def ganlm_components():
    yield ComponentSpec("metric", "{name}", __name__ + ":Bad")
class Bad(Metric):
    def __call__(self, subject, conditions):
        return Measured({{"{number}": {value}}}, "a few sentences")
"""
NO_METRIC = "@hookimpl\ndef ganlm_components():\n    yield ComponentSpec('metric', 'nothing', 'nowhere:Metric')"
LEFT_OUT = {
    "nothing": "ganlm-bad-unmeasured 2.5 is left out, because it failed with metric 'nothing' of ganlm-bad-unmeasured "
    "2.5 cannot be imported from nowhere:Metric: ModuleNotFoundError: No module named 'nowhere'; --debug shows where",
    "divides": "ganlm-bad-dividing 2.5 is left out, because it failed with ZeroDivisionError: division by zero",
    "invents": "ganlm-bad-inventing 2.5 is left out, because it gives nan for made_up; leave out a value that does not "
    "exist",
    "claims": "ganlm-bad-claiming 2.5 is left out, because it gives valid, which belongs to metric 'validity'",
}
"""Bad metrics, which every run measures, and the warning for each."""

BAD: dict[str, tuple[str, str, str]] = {
    "missing": ("import nowhere", "broken", r"ModuleNotFoundError: No module named 'nowhere' \(.*missing.py, line 5\)"),
    "unparsed": ("def f(:", "broken", r"SyntaxError: invalid syntax \(ganlm_bad_unparsed.py, line 5\)"),
    "raising": (
        "@hookimpl\ndef ganlm_components():\n    yield 1 / 0",
        "broken",
        r"ZeroDivisionError: division by zero \(.*raising.py, line 7\)",
    ),
    "hanging": (
        f"@hookimpl\ndef ganlm_components():\n    {HANG}",
        "broken",
        rf"it took longer than {LIMIT} s \(.*hanging.py, line 7\); GANLM_PLUGIN_TIMEOUT allows more",
    ),
    "printing": (
        "print('hello')\n@hookimpl\ndef ganlm_components():\n    return []",
        "ok",
        "it printed 'hello' while it was loaded",
    ),
    "leaving": ("import sys\nsys.exit('goodbye')", "broken", r"SystemExit: goodbye \(.*leaving.py, line 6\)"),
    "heavy": (
        "import torch\n@hookimpl\ndef ganlm_components():\n    return []",
        "ok",
        "it imports torch(?: and numpy)? when it is loaded, which slows every command; import it in its targets",
    ),
    "futuristic": (
        "GANLM_PLUGIN_API = 2",
        "incompatible",
        "it is for plugin API 2, this is 1; install a version that fits",
    ),
    "second": (
        "@hookimpl\ndef ganlm_components():\n    yield ComponentSpec('generator', 'lstm', 'm:a')",
        "duplicate",
        r"already taken: generator lstm \(this one is ganlm-bad-second/lstm\); generator 'lstm' cannot be built: "
        "there is no module m",
    ),
    "shouting": (
        "@hookimpl\ndef ganlm_components():\n    yield ComponentSpec('loss', 'LOUD', 'm:a')",
        "broken",
        "ValueError: component 'loss' 'LOUD': a name has lower-case letters, digits and hyphens, and starts with "
        "a letter",
    ),
    "listing": (
        "@dataclass(frozen=True)\nclass Sizes(Options):\n    sizes: list = option((1,), 'sizes')\n"
        "@hookimpl\ndef ganlm_components():\n    yield ComponentSpec('loss', 'sizes', 'm:a', Sizes)",
        "broken",
        r"TypeError: component 'loss' 'sizes': Sizes.sizes is <class 'list'>; an option is one of bool, .*",
    ),
    "promising": (
        OPTIONS + GENERATOR.format(name="promised", target="ganlm_bad_promising:Nothing"),
        "ok",
        r"generator 'promised' cannot be built: .*ganlm_bad_promising.py has no Nothing",
    ),
    "tires": (TIRES, "ok", ""),
    "watches": (WATCHES, "ok", ""),
    "unmeasured": (NO_METRIC, "ok", "metric 'nothing' cannot be built: there is no module nowhere"),
    "dividing": (METRIC.format(name="divides", number="ratio", value="1 / 0"), "ok", ""),
    "inventing": (METRIC.format(name="invents", number="made_up", value="float('nan')"), "ok", ""),
    "claiming": (METRIC.format(name="claims", number="valid", value="1.0"), "ok", ""),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install all of them side by side: none may affect another."""
    site = tmp_path_factory.mktemp("site")
    for name, (source, _, _) in BAD.items():
        install(site, f"ganlm-bad-{name}", source)
    return site


@pytest.fixture(scope="module")
def told(site: Path) -> list[Told]:
    """Run help and list in one process, and plugins in another, because a module prints only once."""
    limit = {"GANLM_PLUGIN_TIMEOUT": str(LIMIT)}
    return [*ganlm(site, ["--help"], ["list", "--json"], **limit), *ganlm(site, ["plugins", "--json"], **limit)]


def test_bad_plugins_change_neither_names_nor_help(told: list[Told]) -> None:
    assert [(each.code, each.err) for each in told] == [(0, "")] * 3
    help, listing, _ = told
    assert "train a generator against a discriminator" in help.out
    listed = {(one["kind"], one["name"]) for one in json.loads(listing.out)}
    host = default_host()
    assert listed >= {(kind, name) for kind in KINDS for name in host.specs(kind)}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plugin_is_told_with_the_reason(name: str, told: list[Told]) -> None:
    _, status, reason = BAD[name]
    (found,) = [one for one in json.loads(told[-1].out) if one["name"] == f"ganlm-bad-{name}"]
    assert (found["distribution"], found["version"], found["status"]) == (f"ganlm-bad-{name}", "2.5", status)
    assert re.fullmatch(reason, found["reason"])


@pytest.mark.slow
def test_a_run_beside_all_bad_plugins_finishes_and_a_run_with_one_is_told(site: Path, tmp_path: Path) -> None:
    used, without, tired, promised, broken, scored, doctor = ganlm(
        site,
        ["run", *TINY, "--out", "run"],
        ["--no-plugins", "run", *TINY, "--out", "without"],
        ["run", *TINY, "--out", "tired", "--gen", "tires", "--algorithm.discriminator-warmup", 0],
        ["run", *TINY, "--out", "promised", "--gen", "promised"],
        ["run", *TINY, "--out", "broken", "--gen", "ganlm-bad-leaving"],
        ["eval", "run", "--metrics", "divides", "--temperatures", 1, "-n", 5, "--json"],
        ["plugins", "doctor"],
        cwd=tmp_path,
        GANLM_PLUGIN_TIMEOUT=str(LIMIT),
    )
    assert used.code == 0 and "bundle: run/bundle" in used.out
    warning = "observer 'ganlm-bad-watches' failed in ganlm_step_ended and is switched off for this run: ValueError"
    assert used.err.count(warning) == 1
    assert without.code == 0 and warning not in without.err
    weights = [(tmp_path / run / "bundle" / "generator.safetensors").read_bytes() for run in ("run", "without")]
    assert weights[0] == weights[1]
    evaluations = [(tmp_path / run / "bundle" / "evaluation.json").read_bytes() for run in ("run", "without")]
    assert evaluations[0] == evaluations[1]
    for metric, told in LEFT_OUT.items():
        assert used.err.count(f"warning: metric '{metric}' of {told}\n") == 1

    assert tired.code == 1
    assert tired.err.splitlines()[-1] == (
        "ganlm: error: after step 2, generator 'tires' of ganlm-bad-tires 2.5 failed with ValueError: too tired; "
        "--debug shows where; the checkpoint of step 2 is kept in tired"
    )
    assert (tmp_path / "tired" / "checkpoints").is_dir()

    assert (promised.code, (tmp_path / "promised").exists()) == (3, False)
    assert promised.err.splitlines()[-1] == (
        "ganlm: error: generator 'promised' of ganlm-bad-promising 2.5 cannot be imported from "
        "ganlm_bad_promising:Nothing: AttributeError: module 'ganlm_bad_promising' has no attribute 'Nothing'; "
        "--debug shows where"
    )
    assert broken.code == 3
    assert re.fullmatch(
        r"ganlm: error: generator 'ganlm-bad-leaving' cannot be used: plugin 'ganlm-bad-leaving' of ganlm-bad-leaving "
        r"is broken: SystemExit: goodbye \(.*, line 6\); 'ganlm plugins' shows all of them",
        broken.err.splitlines()[-1],
    )

    told = f"metric 'divides' of {LEFT_OUT['divides']}"
    assert (scored.code, json.loads(scored.out)["notes"][-1]) == (0, told)

    assert doctor.code == 3
    for name, (_, status, _) in BAD.items():
        if status == "broken":
            uninstall = f"'pip uninstall ganlm-bad-{name}'"
            advice = f"repair it, upgrade it or {uninstall}; GANLM_DISABLE_PLUGINS=ganlm-bad-{name}"
            assert advice in doctor.out
    assert "'pip install --upgrade ganlm-bad-futuristic ganlm'" in doctor.out
    assert doctor.err == (
        "ganlm: error: plugins that cannot be used: ganlm-bad-futuristic, ganlm-bad-hanging, ganlm-bad-leaving, "
        "ganlm-bad-listing, ganlm-bad-missing, ganlm-bad-raising, ganlm-bad-shouting, ganlm-bad-unparsed\n"
    )


def test_leftovers_and_hostile_metadata_neither_stop_nor_slow_a_command(tmp_path: Path) -> None:
    """An interrupted upgrade left the older metadata; other packages have a folder, a pipe and 50,000 entries."""
    install(tmp_path, "old", "import nowhere", version="0.1")
    (tmp_path / "old.py").unlink()
    install(tmp_path, "old", "@hookimpl\ndef ganlm_components():\n    return []", version="0.2")
    for name in ("folder", "pipe", "many"):
        (tmp_path / f"{name}-1.dist-info").mkdir()
    (tmp_path / "folder-1.dist-info" / "entry_points.txt").mkdir()
    os.mkfifo(tmp_path / "pipe-1.dist-info" / "entry_points.txt")
    lines = "".join(f"p{number} = nowhere{number}\n" for number in range(50_000))
    (tmp_path / "many-1.dist-info" / "entry_points.txt").write_text(f"[ganlm]\n{lines}")
    help, plugins = ganlm(tmp_path, ["--help"], ["plugins", "--json"])
    assert (help.code, help.err) == (0, "")
    health = {one["name"]: (one["version"], one["status"], one["reason"]) for one in json.loads(plugins.out)}
    assert health["old"] == ("0.2", "ok", "")
    assert health["many"] == ("", "broken", "it has more than 100 plugins")
