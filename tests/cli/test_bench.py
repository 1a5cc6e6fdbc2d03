"""What the benchmark counts, and that both ways estimate the same."""

import ctypes
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import ganlm_lstm.networks
import pytest
import torch
from ganlm_lstm.networks import LSTMGenerator
from ganlm_lstm.options import LSTMGeneratorOptions
from torch import nn
from torch.nn import functional as F

import ganlm_core
from ganlm_core import sampling
from ganlm_core.algorithms.estimators import Rollout
from ganlm_core.algorithms.options import RolloutOptions
from ganlm_core.cli.bench import HEADER, bench, limits, measuring, textbook, works
from ganlm_core.cli.bench.limits import Limits, bytes_moved, count_products, operations
from ganlm_core.cli.bench.measuring import Growth, Measurement
from ganlm_core.cli.bench.works import GOALS, Sizes
from ganlm_core.protocol import EOS, Batch, Shape, mask_of
from ganlm_core.system.devices import keep_memory
from ganlm_core.system.threads import BRIEFLY
from tests.conftest import Ganlm
from tests.scripts import benchmark

TINY = Sizes(vocabulary=30, length=5, batch=3, rollouts=2, long=6)


def test_products_are_counted_whatever_makes_them() -> None:
    inputs, weight = torch.randn(6, 3), torch.randn(4, 3)
    counts = count_products(lambda: (F.linear(inputs, weight, torch.zeros(4)), inputs @ weight.T))
    assert counts == {(1, 6, 3, 4): 2}
    assert count_products(lambda: torch.randn(5, 6, 3) @ torch.randn(5, 3, 2)) == {(5, 6, 3, 2): 1}
    assert operations(counts) == 2 * 2 * 6 * 3 * 4
    assert bytes_moved(counts) == 2 * 4 * (6 * 3 + 3 * 4 + 6 * 4)


def test_a_convolution_counts_as_the_product_it_amounts_to_and_its_gradients_as_one_each() -> None:
    convolution, inputs = nn.Conv1d(3, 4, 5), torch.randn(2, 3, 10)
    assert count_products(lambda: convolution(inputs)) == {(1, 2 * 6, 3 * 5, 4): 1}
    assert count_products(lambda: convolution(inputs).sum().backward()) == {(1, 2 * 6, 3 * 5, 4): 2}


def test_an_lstm_counts_as_its_gates() -> None:
    lstm = nn.LSTM(3, 5, batch_first=True)
    with torch.no_grad():
        counts = count_products(lambda: lstm(torch.randn(2, 7, 3)))
    assert operations(counts) == 2 * 2 * 7 * (3 * 20 + 5 * 20)


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.title)
def test_each_work_is_done_both_ways(goal: works.Goal) -> None:
    """And the matrix products of the textbook's way are at least as many as ours, but for the special words."""
    torch.manual_seed(0)
    work = goal.work(TINY)
    ours, plain = (operations(count_products(way)) for way in (work.ours, work.textbook))
    assert 0 < ours <= 1.5 * plain


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.title)
def test_each_work_is_done_where_tensors_are_made_by_default(goal: works.Goal, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device, which refuses tensors of another one: so nothing of a work on CUDA is left on the CPU."""
    run = ganlm_lstm.networks._run
    monkeypatch.setattr(ganlm_lstm.networks, "recur", lambda lstm, states, start, twice=False: run(lstm, states, start))
    with torch.device("meta"):
        work = goal.work(TINY)
        work.ours(), work.textbook()


def test_the_clock_waits_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked when the work begins and when twice as much of it is done as before."""
    events: list[str] = []
    monkeypatch.setattr(limits, "on_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: events.append("wait"))
    monkeypatch.setattr("time.perf_counter", iter([0.0, 1.0, 2.0, 6.0]).__next__)
    assert limits.seconds(lambda: events.append("work"), at_least=5) == 1.5
    assert events == ["wait", "work", "wait", "work", "wait", "work", "work", "wait"]


def test_the_page_of_a_gpu_names_it_and_the_share_of_the_floor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script, asked = benchmark("speed"), []
    bounds = Limits(matrix_rate=50e12, copy_rate=3e12, operations=10**9, bytes=3 * 10**9, products=0.001)

    def measure(goal: works.Goal, sizes: Sizes, rounds: int, device: str) -> Measurement:
        asked.append((goal, rounds, device))
        return Measurement(goal, 0.01, 0.04, 2**20, 2**21, bounds)

    monkeypatch.setattr(script, "measure", measure)
    monkeypatch.setattr(script, "CUDA_PAGE", tmp_path / "page.md")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU of ours")
    script.main(["--device", "cuda", "--rounds", "2"], standalone_mode=False)
    assert asked == [(goal, 2, "cuda") for goal in GOALS]
    page = (tmp_path / "page.md").read_text()
    assert "--device cuda` on a GPU of ours, torch " in page
    # 10^9 operations at 50 * 10^12 and 3 GB at 3 TB in a second are 0.02 and 1 of the 10 milliseconds.
    assert "| sampling, LSTM | 10.0 ms | 40.0 ms | 4.0 | 18 | 10.0 | 2 | 10% | 1 MB | 2 MB |" in page
    assert "| sampling, LSTM | 1.0 G | 3.00 GB | 50000 G/s | 3000 GB/s | 1.02 ms |" in page


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here, so nothing is skipped")
def test_without_a_gpu_its_part_is_skipped_with_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark("speed").main(["--device", "cuda"], standalone_mode=False)
    assert capsys.readouterr().err == "there is no CUDA device here, so nothing was measured on one; skipped\n"


def test_rollouts_of_both_ways_estimate_the_same() -> None:
    """The values of prefixes, the same weights and the same critic on both sides, by 4,000 completions of each."""
    torch.manual_seed(0)
    plain, critic = textbook.LSTM(8, 4, 4), textbook.TextCNN(8, 4, [1, 2], 3)
    for weight in (*plain.parameters(), *critic.parameters()):
        weight.data *= 3
    plain.output.bias.data[: EOS + 1] = -1e9  # the textbook knows no special words, and no end
    generator = LSTMGenerator(Shape(8, 4, 0), LSTMGeneratorOptions(embedding_size=4, hidden_size=4))
    generator.load_state_dict(plain.state_dict(), strict=False)
    words = torch.tensor([[3, 4, 5, 6], [7, 7, 3, 4]]).repeat(100, 1)
    batch = Batch(words, mask_of(words), torch.zeros(200, 0))
    drawn = sampling.Sample(words, batch.mask, torch.zeros(words.shape))
    estimator = Rollout(RolloutOptions(samples=40))
    ours = estimator.returns(generator, batch, drawn, lambda ids, mask: -critic(ids))
    found, expected = (
        values.unflatten(0, (100, 2)).mean(dim=0)
        for values in (ours, textbook.rollout_values(plain, critic, words, 40))
    )
    assert expected[:, :-1].std() > 0.02
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # four standard errors of a mean of 4,000


def test_the_exponent_is_that_of_the_upper_half() -> None:
    growth = Growth(GOALS[0], "length", (1, 2, 4, 8), order=2, seconds=(9.0, 4.0, 16.0, 64.0))
    assert growth.exponent == pytest.approx(2)


def test_threads_of_the_textbook_wait_as_those_of_any_program_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in BRIEFLY.items():
        monkeypatch.setenv(name, value)
    for way, expected in ((measuring.OURS, list(BRIEFLY.values())), (measuring.TEXTBOOK, [None, None])):
        with measuring._worker(way=way) as call:
            assert [call(os.getenv, name) for name in BRIEFLY] == expected
    assert BRIEFLY.items() <= os.environ.items()


def test_bench_measures_in_processes_of_its_own(ganlm: Ganlm, monkeypatch: pytest.MonkeyPatch) -> None:
    goal = replace(GOALS[4], title="a tiny MLP")
    monkeypatch.setattr(works, "GOALS", (goal,))
    monkeypatch.setattr(works, "SHORT", TINY)
    monkeypatch.setattr(measuring, "loop_overhead", lambda steps: 0.0123)
    code, out, err = ganlm("bench", "--rounds", "1", "--json")
    assert (code, err) == (0, "a tiny MLP ...\nthe training loop ...\n")
    (work,) = json.loads(out)["works"]
    hidden = 32 * 256 + 256 * 256 + 256 * 5 * 64
    assert work["limits"]["operations"] == 2 * 3 * (hidden + 5 * 64 * 30)
    assert work["ratio"] == pytest.approx(work["textbook_seconds"] / work["seconds"])
    assert json.loads(out)["loop_overhead"] == 0.0123


def test_help_explains_columns_that_there_are() -> None:
    explained = re.findall(r"'([a-z ]+)' is how", bench.help or "")
    assert explained == ["over products", "share of floor"]
    assert set(explained) <= set(HEADER)


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of Linux")
def test_the_process_keeps_the_memory_that_it_frees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library has the settings of glibc's malloc.h; one without them is left as it is."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=lambda *pair: told.append(pair)))
    keep_memory()
    assert dict(told) == {-3: 32 * 2**20, -1: 2**30}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    keep_memory()


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
