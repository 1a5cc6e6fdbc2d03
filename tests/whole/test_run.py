"""A whole run: the same bytes whatever happens to it, and no checkpoint lost."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from rich.console import Console

import ganlm_core
from ganlm_core.cli import main
from ganlm_core.cli.display import ProgressDisplay
from ganlm_core.config.run_config import RunConfig
from ganlm_core.errors import Interrupted, UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.training import checkpoint
from ganlm_core.training.display import Display
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.train import execute
from tests.conftest import Ganlm, files_of, tiny_config

TINY = ["run", "--gen", "lstm", "--gen.hidden-size", "8", "--gen.embedding-size", "8",
        "--disc", "conv", "--disc.filters", "4", "--disc.embedding-size", "8",
        "--steps", "6", "--batch-size", "8", "--noise-size", "4", "--device", "cpu",
        "--evaluation-samples", "20", "--log-every", "1"]  # fmt: skip
GRAMMAR = ["--corpus.size", "300"]
WARM = ["--algorithm.warmup", "0.34", "--algorithm.discriminator-warmup", "0.17"]
EVERY = ["--evaluate-every", "3", "--checkpoint-every", "2"]
ARGUMENTS = [*TINY, *GRAMMAR, *WARM, *EVERY, "--gen.dropout", "0.1", "--ema", "0.9", "--algorithm.pool", "12"]
"""Every step of the run differs from the one before: two of mle, one of the discriminator, three of both networks."""

NETWORKS = ("generator.safetensors", "discriminator.safetensors")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of ARGUMENTS that nothing happened to."""
    path = tmp_path_factory.mktemp("finished") / "run"
    assert main([*ARGUMENTS, "--out", str(path)]) == 0
    return path


def expect_same(folder: Path, reference: Path) -> None:
    found, wanted = files_of(folder), files_of(reference)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []


def write_plugin(path: Path, body: str) -> Path:
    path.write_text(f"import os, signal\nfrom ganlm_core.hookspecs import hookimpl\n{body}")
    return path


def at(hook: str, step: int, action: str) -> str:
    """A plugin that acts when a hook is called for a step."""
    arguments = {"ganlm_step_ended": "step, metrics", "ganlm_evaluated": "step, evaluation, samples"}[hook]
    return f"@hookimpl\ndef {hook}({arguments}):\n    if step == {step}:\n        {action}\n"


def test_two_runs_of_one_seed_leave_the_same_bytes(ganlm: Ganlm, finished: Path, tmp_path: Path) -> None:
    assert ganlm(*ARGUMENTS, "--out", tmp_path / "again")[0] == 0
    expect_same(tmp_path / "again", finished)
    assert {"config.toml", "metrics.jsonl", "tokenizer.json", "samples/step-00000006.txt"} <= files_of(finished).keys()


def test_another_seed_leaves_others(ganlm: Ganlm, finished: Path, tmp_path: Path) -> None:
    assert ganlm(*ARGUMENTS, "--seed", 1, "--out", tmp_path / "other")[0] == 0
    found, wanted = files_of(tmp_path / "other" / "bundle"), files_of(finished / "bundle")
    assert {name for name in wanted if found[name] == wanted[name]} == {"config.json", "tokenizer.json"}


KILL = "os.kill(os.getpid(), signal.SIGKILL)"
WHILE_WRITING = "from ganlm_core.{0} import {1}; {1}.write_sums = lambda folder: " + KILL
MOMENTS = {
    "before the first checkpoint": at("ganlm_step_ended", 1, KILL),
    "after a checkpoint": at("ganlm_step_ended", 5, KILL),
    "writing a checkpoint": at("ganlm_step_ended", 4, WHILE_WRITING.format("training", "checkpoint")),
    "evaluating": at("ganlm_evaluated", 3, KILL),
    "in the final evaluation": at("ganlm_evaluated", 6, f"if 'test_nll' in evaluation: {KILL}"),
    "writing the bundle": at("ganlm_evaluated", 6, WHILE_WRITING.format("bundle", "save")),
}
FORKS = """
import os, sys
from ganlm_core.cli import main

def train(*more):
    return main([*sys.argv[2:], *more])

first, *folders = sys.argv[1].split(os.pathsep)
train("--out", f"{first}/run")  # imports everything, once for all of them
for folder in folders:
    child = os.fork()
    if child == 0:
        os._exit(train("--out", f"{folder}/run", "--plugin", f"{folder}/plugin.py"))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each of MOMENTS, a run that was killed then, in a process of its own."""
    folders = {moment: tmp_path_factory.mktemp("killed") for moment in MOMENTS}
    for moment, plugin in MOMENTS.items():
        write_plugin(folders[moment] / "plugin.py", plugin)
    places = os.pathsep.join(map(str, [tmp_path_factory.mktemp("first"), *folders.values()]))
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false"}  # its threads and a fork do not go together
    command = [sys.executable, "-c", FORKS, places, *ARGUMENTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    codes = [line for line in done.stderr.splitlines() if line.lstrip("-").isdecimal()]
    assert codes == [str(-signal.SIGKILL)] * len(MOMENTS)
    return {moment: folder / "run" for moment, folder in folders.items()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL and fork are POSIX's")
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_was_killed_resumes_to_the_same_bytes(
    ganlm: Ganlm, finished: Path, killed: dict[str, Path], moment: str
) -> None:
    run = killed[moment]
    assert RunFolder(run).info()["status"] == "started"
    assert not (run / "bundle").exists()
    assert ganlm("run", "--resume", run)[0] == 0
    expect_same(run, finished)
    assert RunFolder(run).info()["status"] == "finished"


@pytest.mark.parametrize(
    ("signals", "kept"),
    [(["SIGINT"], 3), (["SIGTERM"], 3), (["SIGINT", "SIGINT"], 2)],
    ids=["Ctrl-C", "SIGTERM", "Ctrl-C twice"],
)
def test_an_interrupted_run_says_how_to_go_on(
    ganlm: Ganlm, finished: Path, tmp_path: Path, signals: list[str], kept: int
) -> None:
    """The first signal waits for the end of the step and saves; the second does not wait."""
    action = "; ".join(f"signal.raise_signal(signal.{name})" for name in signals)
    plugin = write_plugin(tmp_path / "plugin.py", at("ganlm_step_ended", 3, action))
    run = tmp_path / "a run"
    code, out, err = ganlm(*ARGUMENTS, "--out", run, "--plugin", plugin)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == (
        f"ganlm: error: interrupted after step 3; the checkpoint of step {kept} is kept, "
        f"resume with: ganlm run --resume '{run}' --plugin {plugin}"
    )
    assert RunFolder(run).info()["status"] == "interrupted"
    assert checkpoint.latest(run / "checkpoints").step == kept
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert ganlm("run", "--resume", run)[0] == 0
    expect_same(run, finished)


class Witness(Display):
    """Sends itself a signal at one event, and remembers when it was told that the run stops."""

    def __init__(self, moment: str) -> None:
        self.moment = moment
        self.events: list[str] = []

    def evaluated(self, step: int, values: Mapping[str, float], samples: list[str]) -> None:
        self._happened(f"evaluated {step}")

    def finishing(self, weights_step: int) -> None:
        self._happened("finishing")

    def stopping(self) -> None:
        self.events.append("stopping")

    def ended(self, folder: RunFolder, status: str) -> None:
        self.events.append(status)

    def _happened(self, event: str) -> None:
        self.events.append(event)
        if event == self.moment:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("moment", "events"),
    [
        ("evaluated 3", ["evaluated 3", "stopping", "interrupted"]),
        ("evaluated 6", ["evaluated 3", "evaluated 6", "stopping", "interrupted"]),
        ("finishing", ["evaluated 3", "evaluated 6", "finishing", "interrupted"]),
    ],
    ids=["in a step", "in the last step", "in the final evaluation"],
)
def test_the_display_is_told_at_once_that_a_signal_was_received(tmp_path: Path, moment: str, events: list[str]) -> None:
    witness = Witness(moment)
    with pytest.raises(Interrupted):
        execute(tiny_config("lstm", "conv", evaluate_every=3), out=tmp_path / "run", display=witness)
    assert witness.events == events


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_final_evaluation_is_interrupted_at_once_and_is_all_that_resuming_does(
    ganlm: Ganlm, finished: Path, tmp_path: Path, name: str
) -> None:
    action = f"'test_nll' in evaluation and signal.raise_signal(signal.{name})"
    plugin = write_plugin(tmp_path / "plugin.py", at("ganlm_evaluated", 6, action))
    run = tmp_path / "run"
    code, out, err = ganlm(*ARGUMENTS, "--out", run, "--plugin", plugin)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == (
        "ganlm: error: interrupted in the final evaluation; the checkpoint of step 6 is kept, "
        f"resume with: ganlm run --resume {run} --plugin {plugin}"
    )
    assert RunFolder(run).info()["status"] == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    display = Witness("never")
    execute(RunFolder(run).load_config(default_host()), resume=run, display=display)
    assert display.events == ["finishing", "finished"]
    expect_same(run, finished)


def test_a_finished_run_is_shown_again_and_left_as_it_is(ganlm: Ganlm, finished: Path) -> None:
    before = files_of(finished)
    code, out, err = ganlm("run", "--resume", finished)
    assert (code, err) == (0, f"{finished} is finished; its bundle is {finished / 'bundle'}\n")
    assert f"bundle: {finished / 'bundle'}\n" in out
    assert files_of(finished) == before


def test_a_run_from_python_leaves_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    config = RunConfig.from_toml(default_host(), RunFolder(finished).config())
    model = ganlm_core.train(config, out=tmp_path / "run")
    expect_same(tmp_path / "run", finished)
    assert model.sample(3) == ganlm_core.load(finished).sample(3)


def test_looking_more_often_changes_no_weight(ganlm: Ganlm, finished: Path, tmp_path: Path) -> None:
    often = ["--evaluate-every", 1, "--checkpoint-every", 1, "--log-every", 2]
    assert ganlm(*ARGUMENTS, *often, "--out", tmp_path / "run")[0] == 0
    assert len(list((tmp_path / "run" / "samples").glob("step-*.txt"))) == 6
    for name in NETWORKS:
        assert (tmp_path / "run" / "bundle" / name).read_bytes() == (finished / "bundle" / name).read_bytes()


def test_the_moving_average_is_saved(finished: Path) -> None:
    state, shared = checkpoint.latest(finished / "checkpoints"), ganlm_core.load(finished).generator.state_dict()
    trained = {
        key.removeprefix("generator."): tensor
        for key, tensor in state.state["modules"]["algorithm"].items()
        if key.startswith("generator.")
    }
    averaged = state.network("generator")
    assert all(torch.equal(averaged[key], shared[key]) for key in shared)
    assert any(not torch.equal(trained[key], shared[key]) for key in shared)


def test_metrics_tell_every_phase(finished: Path) -> None:
    records = RunFolder(finished).metrics.steps()
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5, 6]
    losses = [{name for name in record if name.endswith("_loss")} for record in records]
    both = {"discriminator_loss", "generator_loss"}
    assert losses == [{"mle_loss"}, {"mle_loss"}, {"discriminator_loss"}, both, both, both]
    assert [record["tokens"] for record in records] == sorted({record["tokens"] for record in records})
    assert {"accuracy", "entropy", "reward"} <= records[-1].keys()


def test_a_step_for_nothing_but_the_warm_up_is_told(ganlm: Ganlm) -> None:
    warning = "the warm-up takes every step, so the networks never train against each other; raise --steps"
    for steps, told in ((1, True), (6, False)):
        plan = json.loads(ganlm(*ARGUMENTS, "--algorithm.warmup", 0.6, "--steps", steps, "--dry-run", "--json")[1])
        assert (warning in plan["notes"]) is told


def test_single_words_are_told_to_be_better_read_by_characters(ganlm: Ganlm, tmp_path: Path) -> None:
    data, told = (
        tmp_path / "names.txt",
        "every sentence is a single word; --tokenizer char makes a sequence of its characters",
    )
    data.write_text("\n".join(f"name{number}" for number in range(200)))
    for tokenizer, notes in (("word", 1), ("char", 0)):
        plan = json.loads(ganlm(*TINY, "--data", data, "--tokenizer", tokenizer, "--dry-run", "--json")[1])
        assert plan["notes"].count(told) == notes


def test_sampling_does_not_import_the_compiler(finished: Path) -> None:
    """Two seconds; normal initialisation on the meta device would."""
    program = (
        "import sys\nfrom ganlm_core.cli import main\n"
        "sys.exit(main(['sample', sys.argv[1], '-n', '1']) or 'torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(finished)], check=True, capture_output=True)


def test_run_json_says_what_ran(finished: Path) -> None:
    info, version = RunFolder(finished).info(), ganlm_core.__version__
    kept = {
        "command",
        "corpus",
        "cpu_seconds",
        "descent",
        "device",
        "method",
        "notes",
        "plugin_files",
        "plugins",
        "seconds",
        "seed",
        "shape",
        "status",
        "unused",
        "versions",
        "weights_step",
    }
    assert info.keys() == kept
    assert (info["status"], info["device"], info["seed"], info["shape"]["noise"]) == ("finished", "cpu", 0, 4)
    assert info["versions"].keys() == {"python", "torch", "ganlm"}
    assert info["plugins"] == {kind: ["ganlm", version] for kind in ("generator", "discriminator", "algorithm")}


def test_the_evaluation_is_before_after_and_beside_real_text_and_the_unigram_model(finished: Path) -> None:
    evaluation = ganlm_core.load(finished).evaluation
    assert evaluation["weights_step"] == 6
    assert evaluation["tokens_read"] == RunFolder(finished).metrics.steps()[-1]["tokens"] > 100
    assert evaluation.keys() - {"weights_step", "tokens_read"} == {
        "samples",
        "test_sentences",
        "temperature",
        "seed",
        "before",
        "after",
        "real",
        "process",
        "shuffled",
        "unigram",
    }
    assert (evaluation["real"]["valid"], evaluation["real"]["copied"]) == (1.0, 0.0)
    assert evaluation["real"]["test_nll"] < evaluation["after"]["test_nll"] < evaluation["unigram"]["test_nll"] + 1
    assert evaluation["before"]["test_nll"] != evaluation["after"]["test_nll"]


def test_the_end_of_a_run_is_a_table_eight_samples_and_where_everything_is(ganlm: Ganlm, finished: Path) -> None:
    lines = ganlm("run", "--resume", finished)[1].splitlines()
    assert lines[0] == "20 sentences at temperature 1.0, weights of step 6"
    rows = [line.split("  ")[0].strip() for line in lines]
    for title in (
        "before GAN training",
        "after training",
        "real text",
        "perfect generator",
        "shuffled words",
        "unigram model",
    ):
        assert title in rows
    samples = (finished / "samples" / "final.txt").read_text().splitlines()
    places = [f"bundle: {finished / 'bundle'}", f"report: {finished / 'report.html'}"]
    assert lines[-10:] == [*(f"  {text}" for text in samples[:8]), *places]


def test_the_progress_line_fits_a_terminal_of_80_columns() -> None:
    display, text = ProgressDisplay(), io.StringIO()
    display.progress.update(display.task, total=3000)
    record = {"accuracy": 0.5, "discriminator_loss": 1.25, "entropy": 2.5, "generator_loss": 0.75, "tokens": 9.0}
    display.logged(2400, record)
    Console(file=text, width=80).print(display.progress.get_renderable())
    (line,) = text.getvalue().splitlines()
    assert "2400/3000" in line
    assert re.search(r"accuracy 0\.50  D 1\.25  entropy 2\.50  G 0\.75  \d+ tok/s *$", line)
    display.stopping()
    Console(file=text, width=80).print(display.progress.get_renderable())
    assert text.getvalue().splitlines()[1].endswith(" stopping after this step; press Ctrl-C again to stop now")


def test_the_progress_line_changes_four_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    display, shown = ProgressDisplay(), []
    for step, seconds in enumerate((10.0, 10.1, 10.2, 10.3, 10.54, 10.56)):
        monkeypatch.setattr("ganlm_core.cli.display.time.monotonic", lambda seconds=seconds: seconds)
        display.logged(step, {"tokens": 100.0 * step})
        shown.append(display.progress.tasks[0].completed)
    assert shown == [0, 0, 0, 3, 3, 5]
    assert display.progress.live.refresh_per_second == 4
    assert display.progress.tasks[0].fields["numbers"] == "769 tok/s"  # 200 tokens in 0.26 seconds


def test_json_is_all_there_is_on_stdout(ganlm: Ganlm, tmp_path: Path) -> None:
    code, out, err = ganlm(*TINY, *GRAMMAR, "--out", tmp_path / "run", "--json")
    assert code == 0
    result = json.loads(out)
    assert (result["run"], result["bundle"]) == (str(tmp_path / "run"), str(tmp_path / "run" / "bundle"))
    assert result["evaluation"] == ganlm_core.load(tmp_path / "run").evaluation
    assert len(result["samples"]) == 8
    assert f"run folder {tmp_path / 'run'}\n" in err
    assert "\x1b" not in err


def test_a_dry_run_writes_nothing(ganlm: Ganlm, tmp_path: Path) -> None:
    code, out, err = ganlm(*ARGUMENTS, "--dry-run")
    assert (code, err) == (0, "")
    assert "# folder: runs/lstm-conv-grammar-1\n" in out
    plan = json.loads(ganlm(*ARGUMENTS, "--dry-run", "--json")[1])
    assert (plan["folder"], plan["device"]) == ("runs/lstm-conv-grammar-1", "cpu")
    assert plan["parameters"].keys() == {"generator", "discriminator"}
    assert plan["config"]["training"]["steps"] == 6
    assert list(tmp_path.iterdir()) == []


def test_parts_that_a_method_ignores_are_in_no_title_and_on_no_card(ganlm: Ganlm, tmp_path: Path) -> None:
    """Nor on the card of a bundle that is made of a checkpoint."""
    run = tmp_path / "run"
    code, _, err = ganlm(*TINY, *GRAMMAR, "--algorithm", "mle", "--out", run)
    assert code == 0
    assert "\nlstm by autoregressive with algorithm mle on cpu: generator " in err
    assert RunFolder(run).info()["unused"] == ["discriminator", "loss", "penalty", "estimator"]
    title = "<title>lstm by autoregressive with algorithm mle on grammar</title>"
    assert title in (run / "report.html").read_text()
    assert _parts(run / "bundle") == ["algorithm", "corpus", "generator"]
    shutil.rmtree(run / "bundle")
    assert ganlm("weights", "export", run, "--out", tmp_path / "exported")[0] == 0
    assert _parts(tmp_path / "exported") == ["algorithm", "corpus", "generator"]


def _parts(folder: Path) -> list[str]:
    """The parts that the card of a bundle lists."""
    table = (folder / "README.md").read_text().partition("| component |")[2].partition("\n\n")[0]
    return [line.split()[1] for line in table.splitlines()[2:]]


def test_maximum_likelihood_leaves_a_bundle_without_a_discriminator(ganlm: Ganlm, tmp_path: Path) -> None:
    assert ganlm(*TINY, *GRAMMAR, "--algorithm", "mle", "--out", tmp_path / "run")[0] == 0
    model = ganlm_core.load(tmp_path / "run")
    assert model.discriminator is None
    assert "before" not in model.evaluation
    assert not (tmp_path / "run" / "bundle" / "discriminator.safetensors").exists()
    with pytest.raises(UsageError) as caught:
        model.score(["the dog sleeps ."])
    assert str(caught.value) == (
        "this bundle has no discriminator, so it cannot score; train with an algorithm that has one, and with "
        "--keep last if its best weights are from before the discriminator's first step"
    )


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_checkpoint(ganlm: Ganlm, tmp_path: Path) -> None:
    run, diverging = tmp_path / "run", tmp_path / "diverging.toml"
    diverging.write_text("[optimizer.generator_warmup.sgd]\nlr = 1e30\n")
    code, out, err = ganlm(*ARGUMENTS, "--config", diverging, "--out", run)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        "ganlm: error: step 2: the loss of phase mle is nan and its gradient's norm nan; lower the learning rate of "
        f"the generator or its --clip, or add a penalty; the checkpoint of step 0 is kept in {run}"
    )
    assert RunFolder(run).info()["status"] == "failed"
    assert checkpoint.latest(run / "checkpoints").step == 0


def test_an_observer_is_told_which_evaluation_is_the_final_one(ganlm: Ganlm, tmp_path: Path) -> None:
    """The last interim evaluation has the same step."""
    keep = "    with open('told', 'a') as file:\n        print(step, final, file=file)\n"
    plugin = write_plugin(tmp_path / "plugin.py", f"@hookimpl\ndef ganlm_evaluated(step, final):\n{keep}")
    assert ganlm(*ARGUMENTS, "--plugin", plugin, "--out", tmp_path / "told-run")[0] == 0
    told = (tmp_path / "told").read_text().splitlines()
    assert told[-2:] == ["6 False", "6 True"]
    assert all(line.endswith("False") for line in told[:-1])


def test_an_observer_that_raises_is_reported_once_and_ends_nothing(
    ganlm: Ganlm, finished: Path, tmp_path: Path
) -> None:
    plugin = write_plugin(tmp_path / "noisy.py", at("ganlm_step_ended", "step", "raise ValueError('boom')"))
    code, _, err = ganlm(*ARGUMENTS, "--out", tmp_path / "run", "--plugin", plugin)
    assert code == 0
    warning = "observer 'noisy' failed in ganlm_step_ended and is switched off for this run: ValueError: boom"
    assert err.splitlines().count(warning) == 1
    expect_same(tmp_path / "run", finished)


CRASHY = """
from pathlib import Path

from ganlm_core.components import ComponentSpec
from ganlm_lstm.networks import LSTMGenerator
from ganlm_lstm.options import LSTMGeneratorOptions

@hookimpl
def ganlm_components():
    yield ComponentSpec("generator", "crashy", f"{__name__}:Crashy", LSTMGeneratorOptions, recipe="autoregressive")

class Crashy(LSTMGenerator):
    def start(self, noise):
        self.calls = getattr(self, "calls", 0) + 1
        if CONDITION:
            raise ValueError("boom")
        return super().start(noise)
"""


@pytest.mark.parametrize(
    ("condition", "after"),
    [("self.training and self.calls == 3 and Path('run').exists()", 2), ("not self.training", 3)],
    ids=["in a step", "in an evaluation"],
)
def test_a_generator_that_raises_is_named_and_the_checkpoint_kept(
    ganlm: Ganlm, tmp_path: Path, condition: str, after: int
) -> None:
    plugin = write_plugin(tmp_path / "mine.py", CRASHY.replace("CONDITION", condition))
    run = tmp_path / "run"
    one_call_a_step = ["--batch-size", 1]  # larger batches are read in one call or two
    arguments = [*ARGUMENTS, *one_call_a_step, "--gen", "crashy", "--plugin", plugin, "--out", run, "--debug"]
    code, out, err = ganlm(*arguments)
    assert (code, out) == (1, "")
    assert "\nValueError: boom\n" in err
    assert err.splitlines()[-1] == (
        f"ganlm: error: after step {after}, generator 'crashy' of mine.py failed with ValueError: boom; "
        f"--debug shows where; the checkpoint of step 2 is kept in {run}"
    )
    assert RunFolder(run).info()["status"] == "failed"


WAYS_OUT = """
from pathlib import Path

from ganlm_core.algorithms.losses import NonSaturating
from ganlm_core.algorithms.options import NonSaturatingOptions
from ganlm_core.components import ComponentSpec

@hookimpl
def ganlm_components():
    yield ComponentSpec("loss", "leaving", f"{__name__}:Leaving", NonSaturatingOptions)

class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")

class Leaving(NonSaturating):
    def discriminator(self, real, generated):
        if real.grad_fn is not None and Path("run").exists():  # in training, not where it is tried before
            ACTION
        return super().discriminator(real, generated)
"""


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("raise SystemExit(0)", "failed with SystemExit: 0"),
        ("import sys; sys.exit('bye')", "failed with SystemExit: bye"),
        ("raise GeneratorExit", "failed with GeneratorExit"),
        ("raise Silent", "failed with Silent"),
        ("raise type('Own', (BaseException,), {})('it')", "failed with Own: it"),
    ],
)
def test_every_way_out_of_a_step_is_an_error_of_the_plugin(
    ganlm: Ganlm, tmp_path: Path, action: str, told: str
) -> None:
    plugin, run = write_plugin(tmp_path / "mine.py", WAYS_OUT.replace("ACTION", action)), tmp_path / "run"
    code, out, err = ganlm(*ARGUMENTS, "--loss", "leaving", "--plugin", plugin, "--out", run)
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith(f"ganlm: error: after step 2, loss 'leaving' of mine.py {told}")
    assert last.endswith(f"; --debug shows where; the checkpoint of step 2 is kept in {run}")
    assert RunFolder(run).info()["status"] == "failed"


def test_the_error_about_the_checkpoint_hides_no_other(ganlm: Ganlm, tmp_path: Path) -> None:
    action = "import shutil; shutil.rmtree('run/checkpoints'); raise ValueError('boom')"
    plugin = write_plugin(tmp_path / "mine.py", WAYS_OUT.replace("ACTION", action))
    code, _, err = ganlm(*ARGUMENTS, "--loss", "leaving", "--plugin", plugin, "--out", "run")
    assert code == 1
    assert err.splitlines()[-1] == (
        "ganlm: error: after step 2, loss 'leaving' of mine.py failed with ValueError: boom; --debug shows where; "
        "no checkpoint can be read in run"
    )


def test_a_generator_that_raises_before_anything_is_trained_leaves_no_folder(ganlm: Ganlm, tmp_path: Path) -> None:
    plugin = write_plugin(tmp_path / "mine.py", CRASHY.replace("CONDITION", "True"))
    none = ["--algorithm.warmup", 0, "--algorithm.discriminator-warmup", 0]
    code, out, err = ganlm(*ARGUMENTS, *none, "--gen", "crashy", "--plugin", plugin)
    assert (code, out) == (1, "")
    assert err == (
        "ganlm: error: after step 0, generator 'crashy' of mine.py failed with ValueError: boom; --debug shows where\n"
    )
    assert list((tmp_path / "runs").iterdir()) == []


PARTS = """
from ganlm_core.algorithms.adversarial import Adversarial
from ganlm_core.components import ComponentSpec
from ganlm_core.algorithms.policy_gradients import Reinforce
from ganlm_core.algorithms.losses import NonSaturating
from ganlm_core.algorithms.penalties import R1
from ganlm_core.algorithms.options import AdversarialOptions, NonSaturatingOptions, PenaltyOptions, ReinforceOptions
from ganlm_core.protocol import Phase

@hookimpl
def ganlm_components():
    yield ComponentSpec("loss", "crashy", f"{__name__}:CrashyLoss", NonSaturatingOptions)
    yield ComponentSpec("loss", "silent", f"{__name__}:SilentLoss", NonSaturatingOptions)
    yield ComponentSpec("penalty", "crashy", f"{__name__}:CrashyPenalty", PenaltyOptions)
    yield ComponentSpec("estimator", "crashy", f"{__name__}:CrashyEstimator", ReinforceOptions)
    yield ComponentSpec("algorithm", "crashy", f"{__name__}:CrashyAlgorithm", AdversarialOptions)

def crash():
    raise ValueError("boom")

class CrashyLoss(NonSaturating):
    def discriminator(self, real, generated):
        return crash() if real.grad_fn else super().discriminator(real, generated)

class SilentLoss(NonSaturating):
    def discriminator(self, real, generated):
        return None if real.grad_fn else super().discriminator(real, generated)

class CrashyPenalty(R1):
    def __call__(self, discriminator, real, generated):
        crash()

class CrashyEstimator(Reinforce):
    def forward(self, generator, batch, cost):
        crash()

class CrashyAlgorithm(Adversarial):
    def phases(self, step):
        return [Phase("mine", "generator", self.loss)]

    def loss(self, batch):
        return self.estimator(self.generator, batch, lambda sequence, mask: crash())
"""


@pytest.mark.parametrize(
    ("part", "name", "blamed"),
    [
        ("loss", "crashy", "loss 'crashy' of mine.py failed with ValueError: boom"),
        ("penalty", "crashy", "penalty 'crashy' of mine.py failed with ValueError: boom"),
        ("estimator", "crashy", "estimator 'crashy' of mine.py failed with ValueError: boom"),
        ("algorithm", "crashy", "algorithm 'crashy' of mine.py failed with ValueError: boom"),
        (
            "loss",
            "silent",
            f"algorithm 'adversarial' of ganlm {ganlm_core.__version__} failed with TypeError: cannot unpack "
            "non-iterable NoneType object; perhaps because of loss 'silent' of mine.py, which 'ganlm plugins check' "
            "can test",
        ),
    ],
)
def test_the_part_that_raised_is_blamed_and_not_its_caller(
    ganlm: Ganlm, tmp_path: Path, part: str, name: str, blamed: str
) -> None:
    """Innermost: the algorithm's own cost raises while the estimator asks for it."""
    plugin, run = write_plugin(tmp_path / "mine.py", PARTS), tmp_path / "run"
    none = ["--algorithm.warmup", 0, "--algorithm.discriminator-warmup", 0]
    code, _, err = ganlm(*ARGUMENTS, *none, f"--{part}", name, "--plugin", plugin, "--out", run)
    assert (code, err.splitlines()[-1]) == (
        1,
        f"ganlm: error: after step 0, {blamed}; --debug shows where; the checkpoint of step 0 is kept in {run}",
    )


def sentences(count: int) -> list[str]:
    return [f"word{i % 7} is number{i} ." for i in range(count)]


def test_a_run_resumes_on_its_own_data_or_not_at_all(ganlm: Ganlm, tmp_path: Path) -> None:
    data, run = tmp_path / "my.txt", tmp_path / "run"
    data.write_text("\n".join(sentences(200)))
    assert ganlm(*TINY, "--data", data, "--out", run)[0] == 0
    saved = files_of(run)
    shutil.rmtree(run / "bundle")
    data.write_text("\n".join(reversed(sentences(200))))
    code, out, err = ganlm("run", "--resume", run)
    assert (code, out) == (1, "")
    assert err == (
        f"ganlm: error: the training data of {run} have changed since it was started; "
        "put the old data back, or start a new run\n"
    )
    data.write_text("\n".join(sentences(200)))
    assert ganlm("run", "--resume", run)[0] == 0
    assert files_of(run) == saved


def test_standard_input_is_kept_for_resuming(ganlm: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(sentences(200)).encode())))
    assert ganlm(*TINY, "--data", "-", "--out", run)[0] == 0
    assert sorted((run / "data.txt").read_text().splitlines()) == sorted(sentences(200))
    saved = files_of(run)
    shutil.rmtree(run / "bundle")
    shutil.rmtree(run / "checkpoints" / "step-00000006")
    assert ganlm("weights", "export", run, "--out", tmp_path / "copy")[0] == 0
    assert ganlm("run", "--resume", run)[0] == 0
    assert files_of(run) == saved
    # A bundle says nothing of where its run was.
    for recipe in (run / "bundle" / "recipe.toml", tmp_path / "copy" / "recipe.toml"):
        assert tomllib.loads(recipe.read_text())["corpus"]["file"]["path"] == "data.txt"
    for file in (path for folder in (run / "bundle", tmp_path / "copy") for path in folder.iterdir()):
        assert str(run).encode() not in file.read_bytes()


ONCE = """
from ganlm_core.components import ComponentSpec
from ganlm_conv.networks import ConvDiscriminator
from ganlm_conv.options import ConvDiscriminatorOptions

@hookimpl
def ganlm_components():
    yield ComponentSpec("discriminator", "once", f"{__name__}:Once", ConvDiscriminatorOptions)

class Once(ConvDiscriminator):
    twice_differentiable = False
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--gen conv --estimator rollout",
            "estimator 'rollout' needs an autoregressive generator, and 'conv' writes all positions at once; "
            "choose another --gen or another --estimator",
        ),
        (
            "--gen conv --estimator reinforce --estimator.stratified --estimator.baseline none",
            "estimator 'reinforce' with these options needs an autoregressive generator, and 'conv' writes all "
            "positions at once; choose another --gen or another --estimator",
        ),
        (
            "--disc once --penalty r1",
            "penalty 'r1' needs a discriminator that can be differentiated twice, and 'once' cannot; "
            "choose another --disc or --penalty none",
        ),
    ],
)
def test_parts_that_cannot_work_together_are_refused_before_anything_is_written(
    ganlm: Ganlm, tmp_path: Path, arguments: str, message: str
) -> None:
    plugin = write_plugin(tmp_path / "once.py", ONCE)
    assert ganlm("run", *GRAMMAR, *arguments.split(), "--plugin", plugin) == (2, "", f"ganlm: error: {message}\n")
    assert not (tmp_path / "runs").exists()
