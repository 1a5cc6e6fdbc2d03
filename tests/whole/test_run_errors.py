"""User errors, through the command line: the message word for word, the exit code, nothing left over."""

import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ganlm_core.cli import main
from ganlm_core.system import files
from ganlm_core.system.sums import write_sums
from ganlm_core.training.run_folder import RunFolder
from tests.conftest import Ganlm

TINY = ["run", "--steps", "2", "--batch-size", "8", "--device", "cpu", "--evaluation-samples", "20", "--log-every", "1",
        "--gen.hidden-size", "8", "--gen.embedding-size", "8", "--disc.filters", "4",
        "--algorithm.warmup", "0.5", "--algorithm.discriminator-warmup", "0"]  # fmt: skip
GRAMMAR = ["--corpus.size", "300"]


@pytest.fixture
def refused(ganlm: Ganlm, tmp_path: Path) -> Callable[..., str]:
    """Call the command line, which must refuse with this exit code and leave no run; give its one line."""

    def call(exit_code: int, *arguments: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        code, out, err = ganlm(*arguments)
        assert (code, out) == (exit_code, "")
        assert sorted(tmp_path.rglob("*")) == before
        assert err.startswith("ganlm: error: ") and err.count("\n") == 1
        return err.removeprefix("ganlm: error: ").rstrip("\n")

    return call


Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--gen lsmt", "there is no generator 'lsmt'; did you mean 'lstm'? 'ganlm list generator' shows them"),
        ("--disc con", "there is no discriminator 'con'; did you mean 'conv'? 'ganlm list discriminator' shows them"),
        ("--algorithm ml", "there is no algorithm 'ml'; did you mean 'mle'? 'ganlm list algorithm' shows them"),
        ("--loss hing", "there is no loss 'hing'; did you mean 'hinge'? 'ganlm list loss' shows them"),
        ("--penalty wgangp", "there is no penalty 'wgangp'; did you mean 'wgan-gp'? 'ganlm list penalty' shows them"),
        (
            "--estimator reinforced",
            "there is no estimator 'reinforced'; did you mean 'reinforce'? 'ganlm list estimator' shows them",
        ),
        ("--tokenizer words", "there is no tokenizer 'words'; did you mean 'word'? 'ganlm list tokenizer' shows them"),
        (
            "--gen-optimizer adan",
            "there is no optimizer 'adan'; did you mean 'adam'? 'ganlm list optimizer' shows them",
        ),
        (
            "--disc-optimizer sdg",
            "there is no optimizer 'sdg'; did you mean 'sgd'? 'ganlm list optimizer' shows them",
        ),
        (
            "--recipe oneshot",
            "there is no recipe 'oneshot'; did you mean 'one-shot'? 'ganlm recipes list' shows them; "
            "--config takes a file",
        ),
        (
            "--data gramar",
            "there is no corpus 'gramar'; did you mean 'grammar'? the corpora are file, grammar, molecules, oracle, "
            "passwords, and there is no such file",
        ),
        (
            "--gen.heads 3",
            "--gen.heads is not an option of generator 'lstm'; it belongs to 'relational-memory' and 'transformer': "
            "choose it with --gen relational-memory",
        ),
        (
            "--steps 0",
            "Invalid value for '--steps': 0 is not in the range 1<=x<=1000000000; 'ganlm run --help' shows what it "
            "takes",
        ),
        (
            "--steps many",
            "Invalid value for '--steps': 'many' is not a valid integer; 'ganlm run --help' shows what it takes",
        ),
        (
            "--gen.dropout 2",
            "Invalid value for '--gen.dropout': 2.0 is not in the range 0.0<=x<=0.9; "
            "'ganlm run --help' shows what it takes",
        ),
        (
            "--gen transformer --gen.hidden-size 10 --gen.heads 4",
            "generator 'transformer': hidden-size is 10, not a multiple of heads, 4; give 8, for example",
        ),
        ("--device abacus", "there is no device 'abacus'; wanted auto, cpu, cuda, cuda:N or mps"),
        (
            "--device cpu --precision bf16",
            "--precision bf16 is for CUDA, and this run is on cpu; use float32",
        ),
        (
            "--device cpu --precision tf32",
            "--precision tf32 is for CUDA, and this run is on cpu; use float32",
        ),
        (
            "--estimator.reward position",
            "estimator 'reinforce' needs a logit for every position, and 'conv' gives one per sequence; "
            "choose a discriminator that gives one per position, or --estimator.reward sequence",
        ),
        (
            "--estimator.reward position --disc lstm --disc.direction causal --disc.per-position --loss relativistic",
            "estimator 'reinforce' with these options pays each position its own logit, and loss 'relativistic' "
            "compares one logit per sequence; choose --estimator.reward sequence",
        ),
        (
            "--estimator.reward position --disc lstm-lm --noise-size 0",
            "estimator 'reinforce' with these options pays each position its own logit, and 'lstm-lm' sums its logits "
            "to one per sequence; choose --estimator.reward sequence",
        ),
        (
            "--gen conv --algorithm mle",
            "mle needs an autoregressive generator, and ConvGenerator writes all positions at once; choose another "
            "with --gen, or train it with --recipe one-shot",
        ),
        (
            "--algorithm.warmup 0.9 --algorithm.discriminator-warmup 0.25",
            "algorithm 'adversarial': warmup 0.9 and discriminator-warmup 0.25 leave no step in which the networks "
            "train against each other; wanted a sum below 1: lower one of them, or choose --algorithm mle",
        ),
        ("--resume runs/none", "there is no run at runs/none; give the folder that 'ganlm run' printed"),
    ],
)
def test_a_wrong_word_or_number(refused: Refused, arguments: str, message: str) -> None:
    assert refused(2, "run", *GRAMMAR[: 2 * ("--data" not in arguments)], *arguments.split()) == message


@pytest.mark.parametrize("flag", ["--data", "--gen", "--recipe", "--gen-optimizer"])
def test_a_name_that_is_empty_is_not_the_default(refused: Refused, flag: str) -> None:
    """As of a shell's variable that is not set. An environment variable that is empty is like one that is not set."""
    assert refused(2, "run", flag, "") == (
        f"Invalid value for '{flag}': it is empty; give a name, or leave the option out; "
        "'ganlm run --help' shows what it takes"
    )


LONG = "\n".join(f"word{number} a b c d e f" for number in range(200)).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "{} is empty; give a file with one sentence per line"),
        (b"\n \n", "{} has no text; give a file with one sentence per line"),
        (b"\x89PNG\0\0", "{} has NUL bytes, so it is binary or UTF-16; give text in UTF-8"),
        (b"fine\ncaf\xe9\n", "{}, line 2 is not UTF-8; convert the file to UTF-8"),
        (
            b"only one line\n",
            "{} has too few different sentences (1) to set some aside for validation and testing; "
            "give at least 100 different ones",
        ),
        (
            LONG,
            "{}: every sentence has more than the 4 tokens of a sequence, the shortest has 8 with <eos>; "
            "raise --tokenizer.max-length",
        ),
    ],
    ids=["empty", "blank", "binary", "not UTF-8", "one line", "all too long"],
)
def test_a_file_that_cannot_be_trained_on(refused: Refused, tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "data.txt"
    path.write_bytes(data)
    assert refused(1, *TINY, "--tokenizer.max-length", 4, "--data", path) == message.format(path)


def test_a_file_that_is_none(refused: Refused, tmp_path: Path) -> None:
    missing = tmp_path / "missing.txt"
    assert refused(1, *TINY, "--data", missing) == f"there is no file {missing}; check the path"
    assert refused(1, *TINY, "--data", tmp_path) == f"{tmp_path} is a folder; name one file in it"


def test_nothing_on_standard_input(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert refused(1, *TINY, "--data", "-") == "standard input is empty; give a file with one sentence per line"


def test_a_column_that_is_not_there(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,sentence\n1,hello\n")
    assert refused(2, *TINY, "--data", path, "--corpus.column", "sentences") == (
        f"there is no column 'sentences' in {path}; did you mean 'sentence'? it has id, sentence; "
        "name one with --corpus.column"
    )


def test_a_quotation_mark_too_many(refused: Refused, tmp_path: Path) -> None:
    """Read leniently, each of these would swallow the line after it."""
    path = tmp_path / "data.csv"
    path.write_text("id,text\n" + "\n".join(f'{number},"a dog {number}' for number in range(200)))
    assert refused(1, *TINY, "--data", path) == f"{path}, line 3 is not CSV: ',' expected after '\"'; correct the line"
    path.write_text('id,text\n1,"a dog')
    assert refused(1, *TINY, "--data", path) == f"{path}, line 2 is not CSV: unexpected end of data; correct the line"


def test_a_folder_that_is_there(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("")
    assert refused(2, *TINY, *GRAMMAR, "--out", tmp_path / "run") == (
        f"{tmp_path / 'run'} already exists and is not empty; choose another --out"
    )
    (tmp_path / "run" / "config.toml").write_text("")
    assert refused(2, *TINY, *GRAMMAR, "--out", tmp_path / "run") == (
        f"{tmp_path / 'run'} already exists and is not empty; choose another --out, "
        f"or resume it: --resume {tmp_path / 'run'}"
    )


def test_an_empty_folder_is_taken(ganlm: Ganlm, tmp_path: Path) -> None:
    """As a job script or a volume makes it."""
    (tmp_path / "run").mkdir()
    assert ganlm(*TINY, *GRAMMAR, "--out", tmp_path / "run")[0] == 0


def test_a_folder_that_is_no_run(refused: Refused, tmp_path: Path) -> None:
    assert refused(2, "run", "--resume", tmp_path) == (
        f"{tmp_path} is not a run folder, it has no config.toml; give the folder that 'ganlm run' printed"
    )


def test_a_file_where_a_folder_should_be(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused(1, *TINY, *GRAMMAR, "--out", tmp_path / "file" / "run") == (
        f"cannot write {tmp_path / 'file' / 'run'}: Not a directory; a part of the path is a file, choose another place"
    )
    assert refused(2, *TINY, *GRAMMAR, "--out", tmp_path / "file") == (
        f"Invalid value for '--out': Directory '{tmp_path / 'file'}' is a file; 'ganlm run --help' shows what it takes"
    )


def test_a_folder_that_may_not_be_written(refused: Refused, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        pytest.skip("this user may write everywhere")
    assert refused(1, *TINY, *GRAMMAR, "--out", closed / "run") == (
        f"cannot write {closed / 'run'}: Permission denied; choose a place that you may write to"
    )


@pytest.mark.parametrize(("calls", "file"), [(0, "run.json"), (2, "config.toml"), (4, "tokenizer.json")])
def test_a_disk_that_is_full_at_the_start(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int, file: str
) -> None:
    """A file is written with two calls; after so many, there is room for nothing more."""
    done: list[int] = []
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        done.append(descriptor)
        if len(done) > calls:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(files.os, "fsync", refuse)
    assert refused(1, *TINY, *GRAMMAR, "--out", tmp_path / "run") == (
        f"cannot write {tmp_path / 'run' / file}: No space left on device; free some space"
    )


FULL = """
from ganlm_core.hookspecs import hookimpl

@hookimpl
def ganlm_run_started(folder, config):
    (folder / "metrics.jsonl").unlink()
    (folder / "metrics.jsonl").symlink_to("/dev/full")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_gets_full_ends_the_run_which_can_go_on_later(ganlm: Ganlm, tmp_path: Path) -> None:
    (tmp_path / "full.py").write_text(FULL)
    run = tmp_path / "run"
    code, out, err = ganlm(*TINY, *GRAMMAR, "--out", run, "--plugin", tmp_path / "full.py")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        f"ganlm: error: cannot write {run / 'metrics.jsonl'}: No space left on device; free some space; "
        f"the checkpoint of step 0 is kept, resume with: ganlm run --resume {run} --plugin {tmp_path / 'full.py'}"
    )
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    (run / "metrics.jsonl").unlink()
    assert ganlm("run", "--resume", run)[0] == 0


FULL_FOR_ALL = """
import errno, os
from ganlm_core.hookspecs import hookimpl

def refuse(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

@hookimpl
def ganlm_run_started(folder, config):
    os.fsync = refuse
"""


def test_a_disk_that_takes_no_status_either(ganlm: Ganlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the first file that could not be written, not the last."""
    monkeypatch.setattr(os, "fsync", os.fsync)  # puts it back afterwards
    (tmp_path / "full.py").write_text(FULL_FOR_ALL)
    run = tmp_path / "run"
    code, _, err = ganlm(*TINY, *GRAMMAR, "--out", run, "--plugin", tmp_path / "full.py")
    assert code == 1
    first = run / ".before.partial" / "config.json"
    assert err.splitlines()[-1] == (
        f"ganlm: error: cannot write {first}: No space left on device; free some space; "
        f"the checkpoint of step 0 is kept, resume with: ganlm run --resume {run} --plugin {tmp_path / 'full.py'}"
    )
    monkeypatch.undo()
    assert ganlm("run", "--resume", run)[0] == 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "run"
    assert main([*TINY, *GRAMMAR, "--out", str(path)]) == 0
    return path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def test_a_bundle_that_is_truncated(refused: Refused, run: Path) -> None:
    weights = run / "bundle" / "generator.safetensors"
    data = weights.read_bytes()
    size = len(data) - 8 - int.from_bytes(data[:8], "little")
    weights.write_bytes(data[:-8])
    for command in (["sample", run], ["weights", "export", run, "--out", run / "copy"]):
        assert refused(4, *command) == (
            f"{weights} is no valid safetensors file: it was cut short: its tensors want {size} bytes, "
            f"it has {size - 8}; fetch or export it again"
        )


def test_a_bundle_of_a_newer_format(refused: Refused, run: Path) -> None:
    path = run / "bundle" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 2}))
    (run / "bundle" / "SHA256SUMS").unlink()
    write_sums(run / "bundle")
    message = f"{path} was made by a newer ganlm (format 2); this one reads 1: upgrade ganlm"
    assert refused(4, "sample", run) == refused(4, "weights", "verify", run) == message


def test_no_bundle(refused: Refused, tmp_path: Path) -> None:
    assert refused(4, "sample", tmp_path / "none") == (
        f"there is no bundle at {tmp_path / 'none'}; give a folder that has a config.json, or a run"
    )


PLUGIN = """
from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_lstm.options import LSTMGeneratorOptions

@hookimpl
def ganlm_components():
    yield ComponentSpec("generator", "mine", "ganlm_lstm.networks:LSTMGenerator", LSTMGeneratorOptions)
"""


def test_a_plugin_that_is_missing(ganlm: Ganlm, refused: Refused, tmp_path: Path) -> None:
    """A run with a plugin needs it again, to sample and to resume."""
    plugin, run = tmp_path / "mine.py", tmp_path / "run"
    plugin.write_text(PLUGIN)
    assert ganlm(*TINY, *GRAMMAR, "--gen", "mine", "--plugin", plugin, "--out", run)[0] == 0
    assert ganlm("sample", run, "-n", 1, "--plugin", plugin)[0] == 0
    assert refused(3, "sample", run) == (
        f"{run}/bundle/config.json: the generator 'mine' is from mine.py, which is not installed; "
        "if you trust it: load it with --plugin mine.py"
    )
    shutil.rmtree(run / "bundle")
    lost = f"{run} was started with a plugin that is not loaded; add --plugin {plugin}"
    assert refused(3, "run", "--resume", run) == lost
    assert refused(3, "weights", "export", run, "--out", tmp_path / "copy") == lost
    assert ganlm("run", "--resume", run, "--plugin", plugin)[0] == 0


def test_a_plugin_file_is_kept_by_its_full_path_and_a_resumed_run_keeps_the_new_one(
    ganlm: Ganlm, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin, copy, run = tmp_path / "mine.py", tmp_path / "copy.py", tmp_path / "run"
    plugin.write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    assert ganlm(*TINY, *GRAMMAR, "--gen", "mine", "--plugin", "mine.py", "--out", run)[0] == 0
    assert RunFolder(run).info()["plugin_files"] == [str(plugin)]
    shutil.rmtree(run / "bundle")
    shutil.move(plugin, copy)
    assert ganlm("run", "--resume", run, "--plugin", "copy.py")[0] == 0
    info = RunFolder(run).info()
    assert (info["plugin_files"], info["plugins"]["generator"]) == ([str(copy)], ["copy.py", ""])


BROKEN = """
from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl

@hookimpl
def ganlm_components():
    yield ComponentSpec("discriminator", "broken", f"{__name__}:Broken")

class Broken:
    def __init__(self, shape, options):
        raise ZeroDivisionError("division by zero")
"""


def test_a_constructor_that_raises(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    assert refused(3, "run", *GRAMMAR, "--disc", "broken", "--plugin", tmp_path / "mine.py") == (
        "discriminator 'broken' of mine.py cannot be built: ZeroDivisionError: division by zero; --debug shows where"
    )


UNKEPT = """
from ganlm_core.algorithms.adversarial import Adversarial
from ganlm_core.components import ComponentSpec, NoOptions
from ganlm_core.hookspecs import hookimpl
from ganlm_core.protocol import Discriminator, Generator
from ganlm_core.algorithms.options import AdversarialOptions

@hookimpl
def ganlm_components():
    yield ComponentSpec("algorithm", "forgetful", f"{__name__}:Forgetful", AdversarialOptions)
    yield ComponentSpec("algorithm", "raising", f"{__name__}:Raising", AdversarialOptions)
    yield ComponentSpec("loss", "no-loss", f"{__name__}:NoLoss")
    yield ComponentSpec("generator", "shaped", f"{__name__}:Shaped")
    yield ComponentSpec("discriminator", "empty", f"{__name__}:Empty")

class Forgetful(Adversarial):
    def phases(self, step):
        super().phases(step)

class Raising(Adversarial):
    def phases(self, step):
        return 1 / 0

class NoLoss:
    def __init__(self, options):
        pass

class Shaped(Generator):
    def __init__(self, shape, options):
        super().__init__(shape)
        self.prior = None

class Empty(Discriminator):
    def __init__(self, shape, options):
        super().__init__(shape)
"""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            "--algorithm forgetful",
            3,
            "algorithm 'forgetful' of mine.py gave None as the phases of step 0; return a list of Phase; "
            "to check all of it: ganlm plugins check forgetful --plugin {}",
        ),
        (
            "--algorithm raising",
            3,
            "algorithm 'raising' of mine.py cannot say its networks and phases: ZeroDivisionError: division by zero; "
            "--debug shows where",
        ),
        (
            "--loss no-loss",
            3,
            "loss 'no-loss' of mine.py gave a value of type NoLoss, and must be a ganlm_core.protocol.Loss; "
            "derive it from that; to check all of it: ganlm plugins check no-loss --plugin {}",
        ),
        (
            "--gen shaped --recipe one-shot",
            3,
            "generator 'shaped' of mine.py does not take its prior: AttributeError: 'NoneType' object has no attribute "
            "'dim'; --debug shows where",
        ),
        (
            "--disc empty",
            2,
            "the network 'discriminator' of algorithm 'adversarial' has no parameters, so nothing can be trained; "
            "give it some as attributes, or choose an algorithm that does not train it",
        ),
    ],
)
def test_a_component_that_breaks_its_contract(
    refused: Refused, tmp_path: Path, arguments: str, code: int, message: str
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(UNKEPT)
    assert refused(code, "run", *GRAMMAR, *arguments.split(), "--plugin", plugin) == message.format(plugin)


def test_an_optimiser_of_a_network_that_there_is_not(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[optimizer.generatr.adam]\nlr = 0.1\n")
    assert refused(2, "run", *GRAMMAR, "--config", tmp_path / "mine.toml") == (
        "there is no network 'generatr'; did you mean 'generator'? "
        "[optimizer.generatr] is for one of generator, discriminator, generator_warmup, discriminator_warmup"
    )


def test_a_run_without_a_checkpoint_that_is_whole(refused: Refused, run: Path) -> None:
    shutil.rmtree(run / "bundle")
    for state in (run / "checkpoints").glob("*/state.json"):
        state.write_text("{}")
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"status": "interrupted"}))
    newest = run / "checkpoints" / "step-00000002" / "state.json"
    assert refused(4, "run", "--resume", run) == (
        f"{newest} was changed or damaged: its SHA-256 is not the one in SHA256SUMS; start a new run"
    )
    shutil.rmtree(run / "checkpoints")
    assert refused(4, "run", "--resume", run) == f"{run / 'checkpoints'} holds no checkpoint; start a new run"


def test_a_damaged_checkpoint_is_told_and_the_one_before_taken(ganlm: Ganlm, run: Path) -> None:
    shutil.rmtree(run / "bundle")
    newest = run / "checkpoints" / "step-00000002" / "state.json"
    newest.write_text("{}")
    code, _, err = ganlm("run", "--resume", run)
    assert code == 0
    (told,) = [line for line in err.splitlines() if line.startswith(str(newest))]
    assert told == (
        f"{newest} was changed or damaged: its SHA-256 is not the one in SHA256SUMS; "
        "resuming from step-00000000 instead"
    )
