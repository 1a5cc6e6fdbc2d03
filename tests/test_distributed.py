"""Training in several processes: the same losses as one with as many sentences, one writer, and what a loss leaves."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from ganlm_core import distributed
from ganlm_core.cli import main
from ganlm_core.runs import RunFolder
from ganlm_core.trainer import Batches

RUN = ["run", "--recipe", "mle", "--gen", "lstm", "--gen.hidden-size", "8", "--gen.embedding-size", "8",
       "--gen.dropout", "0", "--noise-size", "0", "--data", "oracle", "--corpus.vocabulary", "50",
       "--corpus.length", "6", "--corpus.size", "400", "--steps", "6", "--log-every", "1",
       "--checkpoint-every", "3", "--device", "cpu", "--evaluation-samples", "10"]  # fmt: skip
"""Nothing here is drawn in training, and sentences have one length, so that the mean over the batches of two processes
is that over a batch of both."""

GANLM = [sys.executable, "-m", "ganlm_core"]
DESERTER = (
    "import os\nfrom ganlm_core import distributed\n"
    "with distributed.processes():\n    distributed.share(None)\n    os._exit(0)\n"
)
"""Takes the state over and leaves."""


def start(commands: Sequence[Sequence[str]]) -> list[subprocess.Popen[str]]:
    """These commands as the processes of one run, with what torchrun tells them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shared = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": str(len(commands)), "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}  # fmt: skip
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


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two processes, each with batches of eight."""
    folder = tmp_path_factory.mktemp("two")
    command = [*GANLM, *RUN, "--batch-size", "8", "--out", str(folder / "run")]
    first, second = start([command, command])
    (told, _), (silence, _) = first.communicate(), second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert f"bundle: {folder / 'run' / 'bundle'}" in told and silence == ""
    assert [path.name for path in folder.iterdir()] == ["run"]
    return folder / "run"


def column(folder: Path, name: str) -> torch.Tensor:
    return torch.tensor([record[name] for record in RunFolder(folder).step_records()])


def test_two_processes_learn_as_one_with_batches_twice_as_large(two: Path, tmp_path: Path) -> None:
    assert main([*RUN, "--batch-size", "16", "--out", str(tmp_path / "run")]) == 0
    for name in ("mle_loss", "mle_gradient_norm"):
        torch.testing.assert_close(column(two, name), column(tmp_path / "run", name), rtol=1e-5, atol=1e-5)
    assert column(two, "tokens").equal(column(tmp_path / "run", "tokens"))


def test_what_two_processes_began_goes_on_in_one(two: Path, tmp_path: Path) -> None:
    """From where the data were left: a step of one process counts half as many tokens."""
    folder = shutil.copytree(two, tmp_path / "run")
    shutil.rmtree(folder / "bundle")
    shutil.rmtree(folder / "checkpoints" / "step-00000006")
    assert main(["run", "--resume", str(folder)]) == 0
    tokens = column(folder, "tokens")
    assert tokens[:3].equal(column(two, "tokens")[:3])
    assert tokens[3:].diff(prepend=tokens[2:3]).tolist() == [56, 56, 56]


def test_a_process_that_is_lost_ends_the_run_with_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*GANLM, *RUN, "--batch-size", "8", "--out", str(folder)]
    first, deserter = start([command, [sys.executable, "-c", DESERTER]])
    (_, told), _ = first.communicate(), deserter.communicate()
    assert first.returncode == 1
    assert told.splitlines()[-1] == (
        "ganlm: error: process 0 of 2 waits for another one, which has ended; the checkpoint of step 0 is kept, "
        f"go on with: ganlm run --resume {folder}"
    )


def test_processes_take_the_batches_of_one_in_turn() -> None:
    tokens = torch.arange(20).unsqueeze(1)
    one, *both = (
        Batches(tokens, 3, 0, 0, torch.device("cpu"), rank, processes) for rank, processes in ((0, 1), (0, 2), (1, 2))
    )
    for _ in range(5):  # into the second epoch, which begins amid a step
        for each in both:
            assert each.next(0, 1).tokens.equal(one.next(0, 1).tokens)
    assert {(each.drawn, each.tokens_drawn) for each in both} == {(one.drawn, one.tokens_drawn)}


def test_one_process_is_alone_and_nothing_is_averaged() -> None:
    parameter, loss = torch.nn.Parameter(torch.ones(2)), torch.tensor(3.0)
    with distributed.processes():
        assert (distributed.rank(), distributed.size()) == (0, 1)
        assert distributed.average(loss, [parameter]) is loss
        assert distributed.share("state") == "state"
