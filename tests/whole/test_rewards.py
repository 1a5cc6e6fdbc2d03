"""Rewards through the command line: choosing, refusing, training, telemetry, failures in the middle of a run."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ganlm_core.config.make_config import make_config
from ganlm_core.training.run_folder import RunFolder
from tests.command_line import refused, resolved
from tests.conftest import Ganlm

TINY = ("run", "--steps", 6, "--batch-size", 8, "--device", "cpu", "--evaluation-samples", 20, "--log-every", 1,
        "--gen.hidden-size", 8, "--gen.embedding-size", 8, "--disc.filters", 4, "--algorithm.warmup", 0.5,
        "--algorithm.discriminator-warmup", 0, "--corpus.size", 300, "--checkpoint-every", 2)  # fmt: skip
REGEX = ("--reward", "regex", "--reward.regex.pattern", "^the")
FAILING = """
from ganlm_core.components import ComponentSpec, RewardOptions
from ganlm_core.hookspecs import hookimpl
from ganlm_core.protocol import Reward

class Failing(Reward):
    def __init__(self, options):
        self.calls = 0

    def __call__(self, texts, columns):
        self.calls += 1
        if self.calls > 6:
            {}
        return [0.5 for _ in texts]

@hookimpl
def ganlm_components():
    yield ComponentSpec("reward", "failing", f"{{__name__}}:Failing", RewardOptions, "fails in the middle")
"""
"""Two calls are for the evaluation before training; the others are for steps."""


def records(run: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]


def test_rewards_are_tables_with_their_weights(ganlm: Ganlm) -> None:
    config = resolved(ganlm, *REGEX, "--reward", "length", "--reward.length.weight", 3, "--reward-weight", 0.25)
    assert config["reward"] == {
        "regex": {"weight": 1.0, "pattern": "^the"},
        "length": {"weight": 3.0, "shortest": 1, "longest": 10, "unit": "word"},
    }
    assert config["training"]["reward_weight"] == 0.25


def test_a_file_adds_rewards_and_flags_override_it(ganlm: Ganlm, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[reward.regex]\npattern = "a"\nweight = 2\n[reward.length]\n')
    config = resolved(ganlm, "--config", file, "--reward.regex.pattern", "b")
    assert config["reward"]["regex"] == {"weight": 2.0, "pattern": "b"}
    assert config["reward"].keys() == {"regex", "length"}


def test_without_rewards_there_is_no_table(ganlm: Ganlm) -> None:
    assert "reward" not in resolved(ganlm)


def test_python_chooses_rewards_too() -> None:
    config = make_config("lstm", "conv", reward={"length": {"longest": 3}}, reward_weight=0.2)
    assert config.rewards["length"].options.as_dict() == {
        "weight": 1.0, "shortest": 1, "longest": 3, "unit": "word"
    }  # fmt: skip
    assert tomllib.loads(config.to_toml())["reward"] == {"length": config.rewards["length"].options.as_dict()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reward", "regx"], "there is no reward 'regx'; did you mean 'regex'? 'ganlm list reward' shows them"),
        (["--reward.regex.pattern", "a"], "--reward.regex.pattern is an option of a reward that is not chosen; "
         "add --reward regex"),
        ([*REGEX, "--reward.regex.patern", "a"], "there is no reward 'regex' option 'patern'; did you mean 'pattern'? "
         "it takes weight, pattern"),
        ([*REGEX, "--reward.regex.pattern", "("], "reward 'regex': pattern is '(', no regular expression (missing ), "
         "unterminated subpattern at position 0); correct it"),
        ([*REGEX, "--estimator", "gumbel"], "estimator 'gumbel' gives relaxed words, and a reward reads texts; choose "
         "--estimator reinforce, clipped, rollout or importance, or leave out --reward"),
        ([*REGEX, "--estimator", "straight-through"], "estimator 'straight-through' gives relaxed words, and a reward "
         "reads texts; choose --estimator reinforce, clipped, rollout or importance, or leave out --reward"),
        ([*REGEX, "--recipe", "mle"], "algorithm 'mle' has no generator's cost that rewards could be mixed with; "
         "choose another algorithm or recipe, such as --algorithm adversarial, or leave out --reward"),
        (["--reward", "classifier"], "reward 'classifier' has no path; name a bundle with --reward.classifier.path"),
        (["--reward", "validity", "--reward.validity.corpus", "file"], "the corpus 'file' has no path; name a file "
         "with --data FILE"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_the_run_starts(ganlm: Ganlm, arguments: list[str], message: str) -> None:
    assert refused(ganlm, "run", "--corpus.size", 300, *arguments, "--out", "run") == message
    assert not Path("run").exists()


def test_weight_zero_is_the_method_without_rewards_bit_for_bit(ganlm: Ganlm) -> None:
    assert ganlm(*TINY, "--out", "without")[0] == 0
    assert ganlm(*TINY, *REGEX, "--reward-weight", 0, "--out", "zero")[0] == 0
    for name in ("metrics.jsonl", "bundle/generator.safetensors", "bundle/discriminator.safetensors"):
        assert Path("without", name).read_bytes() == Path("zero", name).read_bytes(), name


def test_each_reward_is_in_the_telemetry_the_table_and_the_report(ganlm: Ganlm) -> None:
    code, _, _ = ganlm(*TINY, *REGEX, "--reward", "length", "--out", "run", "--json")
    assert code == 0
    steps = [record for record in records("run") if "evaluation" not in record]
    paid = {"reward.regex", "reward.length", "discriminator_reward"}
    assert not paid & steps[0].keys()
    assert paid <= steps[-1].keys()
    evaluation = json.loads(Path("run/bundle/evaluation.json").read_text())
    for row in ("before", "after", "real", "unigram"):
        assert 0 <= evaluation[row]["reward.regex"] <= 1
    assert evaluation["real"]["reward.length"] > 0.8
    assert ganlm("report", "run")[0] == 0
    page = Path("run/report.html").read_text()
    assert "reward.regex" in page and "Mean of each reward of texts" in page
    assert RunFolder(Path("run")).info()["status"] == "finished"


def test_a_run_with_rewards_resumes_with_the_same_bytes(ganlm: Ganlm) -> None:
    assert ganlm(*TINY, *REGEX, "--out", "whole")[0] == 0
    assert ganlm(*TINY, *REGEX, "--planned-steps", 6, "--out", "parts")[0] == 0
    assert ganlm("run", "--resume", "whole", "--steps", 8)[0] == 0
    assert ganlm("run", "--resume", "parts", "--steps", 8)[0] == 0
    assert Path("whole/bundle/generator.safetensors").read_bytes() == (
        Path("parts/bundle/generator.safetensors").read_bytes()
    )


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("return [float('nan') for _ in texts]", "gives nan for '"),
        ("return [0.5]", "gives 1 numbers for "),
        ("return ['a' for _ in texts]", "gives a value of type str for '"),
        ("return [2.0 for _ in texts]", "gives 2 for '"),
        ("raise ValueError('no luck')", "failed: ValueError: no luck; --debug shows where"),
    ],
)
def test_a_failure_in_the_middle_names_the_reward_and_the_kept_checkpoint(
    ganlm: Ganlm, tmp_path: Path, failure: str, message: str
) -> None:
    file = tmp_path / "failing.py"
    file.write_text(FAILING.format(failure))
    code, out, err = ganlm("--plugin", file, *TINY, "--steps", 40, "--reward", "failing", "--out", "run")
    (told,) = [line for line in err.splitlines() if line.startswith("ganlm: error: ")]
    assert (code, out) == (3, "")
    assert told.startswith(f"ganlm: error: reward 'failing' of failing.py {message}"), told
    step = max(int(path.name.removeprefix("step-")) for path in Path("run/checkpoints").iterdir())
    assert f"the checkpoint of step {step} is kept, resume with: ganlm run --resume" in told
    assert step >= 20
    assert RunFolder(Path("run")).info()["status"] == "failed"


@pytest.mark.slow
def test_reinforcement_alone_collapses_and_the_telemetry_shows_it(ganlm: Ganlm) -> None:
    """With the whole weight on one pattern, the generator repeats what is paid: entropy falls, distinct falls."""
    code, _, err = ganlm(
        "run", "--data", "passwords", "--tokenizer", "char", "--steps", 400, "--reward", "regex",
        "--reward.regex.pattern", "^[ab]$", "--reward-weight", 1, "--estimator", "reinforce", "--disc.filters", 4,
        "--algorithm.warmup", 0, "--algorithm.discriminator-warmup", 0, "--gen-optimizer.lr", 0.02,
        "--gen-optimizer.schedule", "constant", "--algorithm.anchor", 0, "--estimator.baseline", "leave-one-out",
        "--gen.dropout", 0, "--evaluate-every", 100, "--evaluation-samples", 50,
        "--gen.hidden-size", 16, "--corpus.size", 300, "--out", "run",
    )  # fmt: skip
    assert code == 0, err
    interims = [record for record in records("run") if "evaluation" in record and "weights_step" not in record]
    first, last = interims[0]["evaluation"], interims[-1]["evaluation"]
    assert last["reward.regex"] > 0.9
    assert last["distinct"] < 0.1 and last["entropy"] < first["entropy"]
    assert "collapse" in interims[-1]
