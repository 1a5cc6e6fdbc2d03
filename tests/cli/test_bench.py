"""``ganlm bench`` and the page of its numbers."""

import ctypes
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import ganlm_core
from ganlm_core.cli.bench import HEADER, bench, measuring, workloads
from ganlm_core.cli.bench.limits import Limits
from ganlm_core.cli.bench.measuring import Measurement
from ganlm_core.cli.bench.workloads import GOALS, Sizes
from tests.conftest import Ganlm
from tests.scripts import benchmark

TINY = Sizes(vocabulary=30, length=5, batch=3, rollouts=2, long=6)


def test_the_page_of_a_gpu_names_it_and_the_share_of_the_floor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script, asked = benchmark("speed"), []
    bounds = Limits(matrix_rate=50e12, copy_rate=3e12, operations=10**9, bytes=3 * 10**9, products=0.001)

    def measure(goal: workloads.Goal, sizes: Sizes, rounds: int, device: str) -> Measurement:
        asked.append((goal, rounds, device))
        return Measurement(goal, 0.01, 0.04, 2**20, 2**21, bounds, 0.03)

    monkeypatch.setattr(script, "measure", measure)
    monkeypatch.setattr(script, "CUDA_PAGE", tmp_path / "page.md")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU of ours")
    script.main(["--device", "cuda", "--rounds", "2"], standalone_mode=False)
    assert asked == [(goal, 2, "cuda") for goal in GOALS]
    page = (tmp_path / "page.md").read_text()
    assert "--device cuda` on a GPU of ours, torch " in page
    # 10^9 operations at 50 * 10^12 and 3 GB at 3 TB in a second are 0.02 and 1 of the 10 milliseconds.
    assert (
        "| sampling, LSTM | 10.0 ms | 40.0 ms | 4.0 | 18 | 30.0 ms | 3.0 | 3 | 10.0 | 2 | 10% | 1 MB | 2 MB |" in page
    )
    assert "| sampling, LSTM | 1.0 G | 3.00 GB | 50000 G/s | 3000 GB/s | 1.02 ms |" in page


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here, so nothing is skipped")
def test_without_a_gpu_its_part_is_skipped_with_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("speed").main(["--device", "cuda"], standalone_mode=False)
    assert capsys.readouterr().err == "there is no CUDA device here, so nothing was measured on one; skipped\n"


def test_phases_for_a_gpu_are_measured_on_a_cpu_too(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("gpu").main(["--device", "cpu", "--small"], standalone_mode=False)
    page = capsys.readouterr().out
    for phase in ("mle", "discriminator", "generator"):
        assert re.search(
            rf"\| lstm 8, V 30, T 5 \| 4 \| float32 \| off \| {phase} \| [\d.]+ \| [\d,]+ \| \d+% \| ", page
        )
    assert "| lstm 8, V 30, T 5 | 64 |" in page


def test_bench_measures_in_processes_of_its_own(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    goal = replace(GOALS[4], title="a tiny MLP")
    monkeypatch.setattr(workloads, "GOALS", (goal,))
    monkeypatch.setattr(workloads, "SHORT", TINY)
    monkeypatch.setattr(measuring, "loop_overhead", lambda steps: 0.0123)
    code, out, err = ganlm("bench", "--rounds", "1", "--json")
    assert (code, err) == (0, "a tiny MLP ...\nthe training loop ...\n")
    (work,) = json.loads(out)["workloads"]
    hidden = 32 * 256 + 256 * 256 + 256 * 5 * 64
    assert work["limits"]["operations"] == 2 * 3 * (hidden + 5 * 64 * 30)
    assert work["ratio"] == pytest.approx(work["textbook_seconds"] / work["seconds"])
    assert work["hand_ratio"] == pytest.approx(work["hand_seconds"] / work["seconds"])
    assert json.loads(out)["loop_overhead"] == 0.0123


def test_help_explains_columns_that_there_are() -> None:
    explained = re.findall(r"'([a-z ]+)' is the", bench.help or "")
    assert explained == ["by hand", "over products", "share of floor", "memory"]
    assert set(explained) <= set(HEADER)


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of Linux")
def test_commands_keep_memory_and_programs_that_load_a_model_are_left_as_they_are(
    ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=lambda *pair: told.append(pair)))
    ganlm_core.load("zoo:lstm.mle-grammar")
    assert not told
    assert ganlm("sample", "zoo:lstm.mle-grammar", "-n", 1)[0] == 0
    assert told
