"""Several processes: the losses and samples of one process, one writer, and recovery from a lost process."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from ganlm_core.bundle import load
from ganlm_core.cli import main
from ganlm_core.data.batches import Batches
from ganlm_core.errors import ProcessLost
from ganlm_core.plugins.host import default_host
from ganlm_core.system import processes
from ganlm_core.training import checkpoint
from ganlm_core.training import run as training
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.setup import prepare
from tests.conftest import files_of, tiny_config

RUN = ["run", "--recipe", "mle", "--gen", "lstm", "--gen.hidden-size", "8", "--gen.embedding-size", "8",
       "--gen.dropout", "0", "--noise-size", "0", "--data", "oracle", "--corpus.vocabulary", "50",
       "--corpus.length", "6", "--corpus.size", "400", "--steps", "6", "--log-every", "1",
       "--checkpoint-every", "3", "--device", "cpu", "--evaluation-samples", "300", "--json"]  # fmt: skip
"""Nothing here is drawn in training, and sentences have one length, so that the mean over the batches of two processes
is that over a batch of both."""

AGAINST = ["run", "--recipe", "autoregressive", "--disc", "conv", "--disc.filters", "4", *RUN[3:],
           "--gen.dropout", "0.1", "--noise-size", "4", "--algorithm.warmup", "0.34",
           "--algorithm.discriminator-warmup", "0.17", "--batch-size", "8"]  # fmt: skip
"""Two steps of maximum likelihood, one of the discriminator, and three of two phases; all of them draw."""

GANLM = [sys.executable, "-m", "ganlm_core"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
VICTIM = """
import os, signal, sys
from ganlm_core.system import processes
from ganlm_core.cli import main

backward, phases = processes.backward, []

def last_words(*arguments):
    phases.append(arguments)
    if len(phases) == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return backward(*arguments)

if (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) == ("1", "0"):
    processes.backward = last_words
sys.exit(main())
"""
"""ganlm, but the second process is killed in the first phase of step 5, the first time that it comes there. It is the
sixth phase of the run; the rehearsal has three."""

BUCKETS = """
import sys
from ganlm_core.cli import main
from ganlm_core.system import processes

processes.BUCKET = 1000
sys.exit(main())
"""
"""ganlm, but its gradients are sent in many buckets, as those of a large network are."""

EACH = """
import json, os, sys
from ganlm_core.cli import main

for os.environ["MASTER_PORT"], line in json.loads(sys.argv[1]):
    main(line)
"""
"""Several commands in one process, each with the others at a port of its own."""

THREADS = """
import sys
from pathlib import Path
from ganlm_core.cli import main

main(sys.argv[1:])
print(*(thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")))
"""
"""ganlm, and then the names of the threads of this process."""


def start(commands: Sequence[Sequence[str]]) -> list[subprocess.Popen[str]]:
    """These commands as the processes of one run, with what torchrun tells them."""
    shared = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": str(len(commands)), "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": free_port(), "OMP_NUM_THREADS": "1"}  # fmt: skip
    return [
        subprocess.Popen(
            command,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, command in enumerate(commands)
    ]


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two processes, each with batches of eight and a part of the optimiser's state."""
    folder = tmp_path_factory.mktemp("two")
    options = ["--batch-size", "8", "--shard-optimizers", "--out", str(folder / "run")]
    command = [sys.executable, "-c", BUCKETS, *RUN, *options]
    first, second = start([command, command])
    (told, _), (silence, _) = first.communicate(), second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert json.loads(told)["bundle"] == str(folder / "run" / "bundle") and silence == ""
    assert [path.name for path in folder.iterdir()] == ["run"]
    return folder / "run"


def column(folder: Path, name: str) -> torch.Tensor:
    return torch.tensor([record[name] for record in RunFolder(folder).metrics.steps()])


def test_two_processes_learn_as_one_with_batches_twice_as_large(two: Path, tmp_path: Path) -> None:
    assert main([*RUN, "--batch-size", "16", "--out", str(tmp_path / "run")]) == 0
    for name in ("mle_loss", "mle_gradient_norm"):
        torch.testing.assert_close(column(two, name), column(tmp_path / "run", name), rtol=1e-5, atol=1e-5)
    assert column(two, "tokens").equal(column(tmp_path / "run", "tokens"))


def test_a_run_of_two_processes_is_resumed_by_one(two: Path, tmp_path: Path) -> None:
    """From where the data were left: a step of one process counts half as many tokens."""
    folder = shutil.copytree(two, tmp_path / "run")
    shutil.rmtree(folder / "bundle")
    shutil.rmtree(folder / "checkpoints" / "step-00000006")
    assert main(["run", "--resume", str(folder), "--json"]) == 0
    tokens = column(folder, "tokens")
    assert tokens[:3].equal(column(two, "tokens")[:3])
    assert tokens[3:].diff(prepend=tokens[2:3]).tolist() == [56, 56, 56]


def test_processes_go_on_with_their_parts_of_an_optimiser(two: Path, tmp_path: Path) -> None:
    """To the same bytes, from a checkpoint that has all parts."""
    folder = shutil.copytree(two, tmp_path / "run")
    shutil.rmtree(folder / "bundle")
    shutil.rmtree(folder / "checkpoints" / "step-00000006")
    runs = start([[*GANLM, "run", "--resume", str(folder), "--json"]] * 2)
    assert [run.wait() for run in runs] == [0, 0]
    for part in ("bundle", "checkpoints"):
        assert files_of(folder / part) == files_of(two / part)


def test_all_draw_and_score_for_the_final_evaluation(two: Path) -> None:
    """Each batch has a seed of its own, so that one process alone finds the same."""
    experiment, model = prepare(RunFolder(two).load_config(default_host())), load.load(two)
    alone = experiment.judge.written(model.generator, 300)
    assert RunFolder(two).last_samples() == alone.texts
    assert alone.likelihood is not None
    likelihood = alone.likelihood(tuple(experiment.corpus.test))
    assert model.evaluation["after"]["test_nll"] == pytest.approx(likelihood.nll_per_token, rel=1e-5)


def test_two_processes_sample_and_evaluate_as_one(two: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """To the last byte: batches and rows, which the processes share, do not depend on each other."""

    def lines(name: str) -> list[list[str]]:
        file = f"{tmp_path}/{name}.jsonl"
        sample = ["-n", "900", "--seed", "3", "--offset", "20", "--unique", "--json", "--out", file]
        evaluate = ["--temperatures", "0.5,1,2", "--metrics", "validity,bleu", "--json"]
        return [["sample", str(two), *sample], ["eval", str(two), *evaluate, "--out", f"{tmp_path}/{name}.json"]]

    command = [sys.executable, "-c", EACH, json.dumps([(free_port(), line) for line in lines("two")])]
    first, second = start([command, command])
    (told, notes), (silence, more) = first.communicate(), second.communicate()
    assert [main(line) for line in lines("one")] == [0, 0]
    assert (told, silence) == (capfd.readouterr().out, "")
    assert "measuring run at temperature 2\n" in more and "at temperature 2\n" not in notes
    for kind in ("jsonl", "json"):
        assert (tmp_path / f"two.{kind}").read_bytes() == (tmp_path / f"one.{kind}").read_bytes()


def test_a_process_that_is_lost_costs_an_unfinished_step(tmp_path: Path) -> None:
    """Rank 0 saves the step that all ranks had made, and the restarted ranks go on to the same bytes."""
    victim, lost, whole = tmp_path / "victim.py", tmp_path / "lost", tmp_path / "whole"
    victim.write_text(VICTIM)
    command = [*TORCHRUN, "--max-restarts", "1", str(victim), *AGAINST, "--out", str(lost)]
    run = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    first, second = start([[*GANLM, *AGAINST, "--out", str(whole)]] * 2)
    assert (first.wait(), second.wait()) == (0, 0)
    assert (
        "ganlm: error: process 0 of 2 lost another process, which has ended; the checkpoint of step 4 is kept, "
        f"resume with: ganlm run --resume {lost}\n"
    ) in run.stderr
    assert f"run folder {lost}, resumed at step 4\n" in run.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"victim.py", "lost", "whole"}
    for folder in ("bundle", "before", "samples"):
        assert files_of(lost / folder) == files_of(whole / folder)
    assert (lost / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the names of threads from /proc")
def test_the_threads_of_the_processes_end_with_the_run(tmp_path: Path) -> None:
    """One that is still there when Python ends can abort the process after all of its work is done."""
    command = [sys.executable, "-c", THREADS, *RUN, "--shard-optimizers", "--out", str(tmp_path / "run")]
    told = [run.communicate()[0].splitlines() for run in start([command] * 2)]
    assert (tmp_path / "run" / "bundle").is_dir()
    assert ["gloo" in lines[-1] for lines in told] == [False, False]


def test_processes_that_are_started_again_go_on_with_their_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was killed before its first checkpoint, so it begins anew. The files of others are not touched."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    command = [*RUN, "--batch-size", "8", "--out", str(tmp_path / "mine")]
    assert main(command) == 2
    assert "mine already exists and is not empty; choose another --out" in capsys.readouterr().err
    begun = RunFolder.make(tmp_path / "begun", "name")
    begun.start(tiny_config("lstm", "conv"))
    monkeypatch.setattr(processes, "saved_run", lambda: str(begun.path))
    assert main(command) == 0
    assert begun.is_finished
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    assert main(command) == 0, "which finds it finished"
    assert f"{begun.path} is finished" in capsys.readouterr().err


def test_a_new_run_is_remembered_once_it_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered = []

    def remember(path: str) -> None:
        assert (Path(path) / "config.toml").is_file()
        remembered.append(path)

    monkeypatch.setattr(processes, "save_run", remember)
    assert main([*RUN, "--batch-size", "8", "--out", str(tmp_path / "run")]) == 0
    assert remembered == [str(tmp_path / "run")]


def pretend_two(monkeypatch: pytest.MonkeyPatch, in_a_phase: Callable[[], None]) -> None:
    """Be rank 0 of two processes, of which the other has the same values. ``in_a_phase`` is called in each phase."""

    def backward(loss: torch.Tensor, parameters: Sequence[torch.nn.Parameter]) -> torch.Tensor:
        in_a_phase()
        loss.backward(inputs=parameters)
        return loss

    monkeypatch.setattr(processes, "size", lambda: 2)
    monkeypatch.setattr(processes, "broadcast", lambda state: state)
    monkeypatch.setattr(processes, "gather", lambda value: [value, value])
    monkeypatch.setattr(processes, "backward", backward)


@pytest.mark.parametrize(("phase", "step"), [(6, 4), (7, 3)])
def test_only_a_step_that_all_have_made_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], phase: int, step: int
) -> None:
    """Phase 6 is the first of step 5 and changes nothing when it fails; phase 7 is the second. Every third is saved.

    The rehearsal before has three phases.
    """
    phases = []

    def in_a_phase() -> None:
        phases.append(step)
        if len(phases) == 3 + phase:
            raise ProcessLost("the other one has gone")

    pretend_two(monkeypatch, in_a_phase)
    assert main([*AGAINST, "--out", str(tmp_path / "run")]) == 1
    assert f"the other one has gone; the checkpoint of step {step} is kept, " in capsys.readouterr().err
    assert checkpoint.latest(tmp_path / "run" / "checkpoints").extra["batches"][0] == {3: 6, 4: 10}[step]


def test_a_process_that_is_lost_after_a_step_leaves_no_state_of_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the evaluation before adversarial training: the parameters have moved, so the step before is gone."""

    def lost(*arguments: object) -> None:
        raise ProcessLost("the other one has gone")

    pretend_two(monkeypatch, lambda: None)
    monkeypatch.setattr(training, "written", lost)
    assert main([*AGAINST, "--checkpoint-every", "6", "--out", str(tmp_path / "run")]) == 1
    assert checkpoint.latest(tmp_path / "run" / "checkpoints").step == 0


def test_processes_take_the_batches_of_one_in_turn() -> None:
    tokens = torch.arange(20).unsqueeze(1)
    one, *both = (
        Batches(tokens, 3, 0, 0, torch.device("cpu"), rank, processes) for rank, processes in ((0, 1), (0, 2), (1, 2))
    )
    for _ in range(5):  # into the second epoch, which begins amid a step
        for each in both:
            assert each.next(0, 1).tokens.equal(one.next(0, 1).tokens)
    assert {(each.drawn, each.tokens_drawn) for each in both} == {(one.drawn, one.tokens_drawn)}
