"""The decisions of a run from its own evaluations: which weights it keeps, when it stops, when it goes back."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from ganlm_core.bundle import load
from ganlm_core.config.run_config import RunConfig, override
from ganlm_core.errors import NonFinite, TrainingError, Unreadable
from ganlm_core.metrics.judge import Values
from ganlm_core.plugins.host import default_host
from ganlm_core.training import checkpoint, loop, monitor
from ganlm_core.training.display import Display
from ganlm_core.training.loop import Trainer
from ganlm_core.training.metrics_log import MetricsLog
from ganlm_core.training.run_folder import RunFolder
from ganlm_core.training.setup import Setup, prepare
from ganlm_core.training.train import execute
from tests.conftest import WARM, Ganlm, files_of, tiny_config

Interims = Callable[[Callable[[int, Values], Values]], None]
"""Puts a function of the step and of the true values in the place of what interim evaluations find."""


@pytest.fixture
def interims(monkeypatch: pytest.MonkeyPatch) -> Interims:
    true = monitor.interim_evaluation

    def script(change: Callable[[int, Values], Values]) -> None:
        def interim_evaluation(experiment: Setup, step: int) -> tuple[Values, list[str]]:
            values, samples = true(experiment, step)
            return values | change(step, values), samples

        monkeypatch.setattr(monitor, "interim_evaluation", interim_evaluation)

    return script


def nlls(*scores: float) -> Callable[[int, Values], Values]:
    return lambda step, values: {"validation_nll": scores[step - 1]}


class Witness(Display):
    """Keeps the weights of every evaluated step, and what was said."""

    def __init__(self) -> None:
        self.weights: dict[int, dict[str, dict[str, Tensor]]] = {}
        self.said: list[str] = []
        self.experiment: Setup | None = None

    def started(self, experiment: Setup, folder: RunFolder, step: int) -> None:
        self.experiment = experiment

    def evaluated(self, step: int, values: Mapping[str, float], samples: list[str]) -> None:
        assert self.experiment is not None
        self.weights[step] = {
            name: {key: tensor.clone() for key, tensor in network.state_dict().items()}
            for name, network in self.experiment.shared_networks.items()
        }

    def finishing(self, weights_step: int) -> None:
        self.said.append(f"finishing {weights_step}")

    def note(self, line: str) -> None:
        self.said.append(line)

    def warn(self, line: str) -> None:
        self.said.append(f"warning: {line}")


def config(**settings: Any) -> RunConfig:
    return tiny_config("lstm", "conv", **{"algorithm_options": WARM, "evaluate_every": 1} | settings)


def diverging(**settings: Any) -> RunConfig:
    """A run whose first step of maximum likelihood ruins the generator."""
    return override(default_host(), config(**settings), [{"optimizer": {"generator_warmup": {"sgd": {"lr": 1e30}}}}])


def watched(path: Path, **settings: Any) -> Witness:
    return watched_run(path, config(**settings))


def watched_run(path: Path, chosen: RunConfig) -> Witness:
    witness = Witness()
    execute(chosen, out=path, display=witness)
    return witness


def weights_of(run: Path) -> dict[str, dict[str, Tensor]]:
    files = [run / "bundle" / f"{name}.safetensors" for name in ("generator", "discriminator")]
    return {file.stem: load_file(file) for file in files if file.exists()}


def same(one: Mapping[str, Mapping[str, Tensor]], other: Mapping[str, Mapping[str, Tensor]]) -> bool:
    assert one.keys() <= other.keys()
    return all(one[name][key].equal(tensor) for name in one for key, tensor in other[name].items())


@pytest.mark.parametrize("settings", [{}, {"ema": 0.9}], ids=["trained", "moving average"])
@pytest.mark.parametrize(("keep", "step"), [("best", 2), ("last", 6)])
def test_the_weights_that_are_kept_are_evaluated_and_saved(
    tmp_path: Path, interims: Interims, keep: str, step: int, settings: dict[str, Any]
) -> None:
    interims(nlls(3, 1, 2, 1, 5, 4))
    run = tmp_path / "run"
    witness = watched(run, keep=keep, **settings)
    assert same(weights_of(run), witness.weights[step])
    assert not same(weights_of(run), witness.weights[8 - step])
    model = load.load(run)
    assert witness.experiment is not None
    trained = model.discriminator if keep == "last" else None  # step 2 is of the warm-up
    subject = witness.experiment.judge.written(model.generator, 20, trained)
    assert model.evaluation["after"] == pytest.approx(witness.experiment.judge.judge(subject), rel=1e-5)
    assert RunFolder(run).last_samples() == subject.texts
    assert model.evaluation["weights_step"] == RunFolder(run).info()["weights_step"] == step
    last = RunFolder(run).metrics.read()[-1]
    assert (last["step"], last["weights_step"]) == (6, step)
    untrained = (
        "the discriminator was not trained before step 2, so the bundle has none; "
        "--keep last keeps the networks of the last step"
    )
    assert [f"finishing {step}", untrained][: 2 if keep == "best" else 1] == witness.said[
        -2 if keep == "best" else -1 :
    ]
    assert (model.discriminator is None) == (keep == "best") == RunFolder(run).is_warm_up


def test_what_is_before_adversarial_training_is_the_best_of_the_warm_up_where_the_best_is_kept(
    tmp_path: Path, interims: Interims
) -> None:
    interims(nlls(3, 1, 2, 1, 5, 4))
    ends = [load.load(watched_at(tmp_path / keep, keep) / "before") for keep in ("best", "last")]
    assert [each.evaluation["weights_step"] for each in ends] == [2, 3]
    kept = load.load(tmp_path / "best")
    assert kept.evaluation["before"].items() <= kept.evaluation["after"].items()
    assert kept.evaluation["before"] == ends[0].evaluation["before"]


def watched_at(run: Path, keep: str) -> Path:
    watched(run, keep=keep)
    return run


def test_a_checkpoint_keeps_the_best_weights_so_far(tmp_path: Path, interims: Interims) -> None:
    interims(nlls(3, 1, 2, 2, 2, 2))
    run = tmp_path / "run"
    witness = watched(run, keep="best")
    saved = checkpoint.latest(run / "checkpoints")
    assert saved.step == 6
    assert same({name: saved.network(name) for name in saved.networks}, witness.weights[2])


@pytest.mark.parametrize(("patience", "last"), [(0, 6), (1, 3), (2, 4), (4, 6), (9, 6)])
def test_a_run_stops_when_evaluations_get_no_better(
    tmp_path: Path, interims: Interims, patience: int, last: int
) -> None:
    interims(nlls(3, 1, 2, 2, 2, 2))
    run = tmp_path / "run"
    witness = watched(run, patience=patience)
    assert [record["step"] for record in RunFolder(run).metrics.steps()] == list(range(1, last + 1))
    info, reason = RunFolder(run).info(), "no evaluation was better than that of step 2"
    assert (info["status"], info["weights_step"]) == ("finished", last)
    assert info.get("stopped") == (reason if last < 6 else None)
    assert (f"stopped after step {last}: {reason}" in witness.said) is (last < 6)


@pytest.mark.parametrize(("end", "best"), [(2.0, 3), (0.5, 6)])
def test_the_best_may_be_the_start_of_adversarial_training(
    tmp_path: Path, interims: Interims, end: float, best: int
) -> None:
    interims(nlls(0, 0, 1, 0, 0, end))
    run = tmp_path / "run"
    witness = watched(run, keep="best", evaluate_every=100)
    assert list(witness.weights) == [3, 6]
    assert RunFolder(run).info()["weights_step"] == best


def test_the_last_weights_need_no_evaluation_at_the_start_of_adversarial_training(tmp_path: Path) -> None:
    assert list(watched(tmp_path / "run", evaluate_every=100).weights) == [6]


def test_without_likelihood_the_best_has_the_lowest_bigram_divergence(tmp_path: Path, interims: Interims) -> None:
    interims(lambda step, values: {"bigram_divergence": [0.5, 0.4, 0.1, 0.3, 0.2, 0.2][step - 1]})
    run = tmp_path / "run"
    execute(tiny_config("mlp", "conv", evaluate_every=1, keep="best", patience=2), out=run)
    info = RunFolder(run).info()
    assert (info["weights_step"], info["stopped"]) == (3, "no evaluation was better than that of step 3")


COLLAPSED = {"distinct": 0.01, "entropy": 0.1}


def collapsed_at(*steps: int) -> Callable[[int, Values], Values]:
    return lambda step, values: COLLAPSED if step in steps else {"entropy": 4.0}


def collapsed_once(step: int) -> Callable[[int, Values], Values]:
    """At that step, as long as the weights are what they were when it first came."""
    first: list[Values] = []

    def change(at: int, values: Values) -> Values:
        if at != step or (first and values != first[0]):
            return {}
        first[:] = [values]
        return COLLAPSED

    return change


@pytest.fixture(scope="module")
def seen() -> str:
    """The text of an invented collapse; real text is nearly all different."""
    real = monitor.reference(prepare(config()))["distinct"]
    return f"samples repeat: 1.0% distinct (real text: {real:.1%})"


def collapses(run: Path) -> dict[int, str]:
    return {record["step"]: record["collapse"] for record in RunFolder(run).metrics.read() if record.get("collapse")}


def test_a_collapse_is_told_once_until_it_is_over(tmp_path: Path, interims: Interims, seen: str) -> None:
    interims(collapsed_at(2, 3, 5))
    run = tmp_path / "run"
    said = watched(run).said
    words = f"entropy fell from 4.0 to 0.1 nats; {seen}"
    assert [line for line in said if line.startswith("warning")] == [
        f"warning: the generator collapsed after step {step}: {words}" for step in (2, 5)
    ]
    assert collapses(run) == dict.fromkeys((2, 3, 5), words)
    assert RunFolder(run).info()["weights_step"] == 6


def test_a_collapse_may_end_the_run(tmp_path: Path, interims: Interims) -> None:
    interims(collapsed_at(4))
    run = tmp_path / "run"
    witness = watched(run, on_collapse="stop")
    assert witness.said[-2:] == ["stopped after step 4: the generator collapsed", "finishing 4"]
    info = RunFolder(run).info()
    assert (info["status"], info["stopped"]) == ("finished", "the generator collapsed")
    assert same(weights_of(run), witness.weights[4])


def test_a_run_goes_back_to_where_it_was_good_and_on_with_half_the_learning_rates(
    tmp_path: Path, interims: Interims, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluated at 2, 4 and 6: the collapse at 4 costs two steps, although newer checkpoints push that of 2 out."""
    rates: list[list[float]] = []
    train = Trainer.train

    def spy(self: Trainer, start: int, after_step: Any, until: int) -> None:
        rates.append([start, *(each.options.lr for each in self.optimizers.values())])
        train(self, start, after_step, until)

    monkeypatch.setattr(Trainer, "train", spy)
    interims(collapsed_once(4))
    run = tmp_path / "run"
    witness = watched(run, on_collapse="rollback", evaluate_every=2, checkpoint_every=1)
    _, (first, *before), (second, *after) = rates  # the first is the rehearsal
    assert (first, second) == (0, 2)
    assert before and after == [lr / 2 for lr in before]
    records = RunFolder(run).metrics.read()
    assert [record["step"] for record in RunFolder(run).metrics.steps()] == [1, 2, 3, 4, 5, 6]
    words = f"entropy fell from 4.2 to 0.1 nats; {seen}"
    (told,) = [record for record in records if "rollback" in record]
    assert told == {"step": 2, "rollback": 1, "reason": f"the generator collapsed after step 4: {words}"}
    assert collapses(run) == {}
    assert "back at step 2; going on with 0.5 of the learning rates" in witness.said
    assert RunFolder(run).info()["weights_step"] == 6


def test_a_run_that_collapses_again_and_again_ends_where_it_was_good(tmp_path: Path, interims: Interims) -> None:
    interims(collapsed_at(4))
    run = tmp_path / "run"
    witness = watched(run, on_collapse="rollback", evaluate_every=2)
    rollbacks = [line for line in witness.said if line.startswith("back at step 2; ")]
    assert rollbacks == [
        *(f"back at step 2; going on with {rate} of the learning rates" for rate in (0.5, 0.25, 0.125)),
        "back at step 2; it went wrong again after 3 rollbacks",
    ]
    assert same(weights_of(run), witness.weights[2])
    info = RunFolder(run).info()
    assert (info["weights_step"], info["stopped"]) == (2, "it went wrong again after 3 rollbacks")
    assert sorted(path.name for path in (run / "samples").iterdir()) == ["final.txt", "step-00000002.txt"]


def test_a_loss_that_is_not_finite_is_gone_back_from_too(tmp_path: Path) -> None:
    """At the start a run has its untrained weights to go back to."""
    run = tmp_path / "run"
    witness = watched_run(run, diverging(on_collapse="rollback", evaluate_every=100))
    (first, *_) = [line for line in witness.said if line.startswith("warning: ")]
    assert first.startswith("warning: step 2: the loss of phase mle is nan and its gradient's norm nan; lower the ")
    assert RunFolder(run).info()["weights_step"] == 0


def test_an_error_of_a_rollback_keeps_its_own_advice(
    tmp_path: Path, interims: Interims, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **others: Any) -> None:
        raise Unreadable("the checkpoint is damaged", "start the run again")

    monkeypatch.setattr(checkpoint, "at", fail)
    interims(collapsed_once(4))
    with pytest.raises(Unreadable) as caught:
        watched(tmp_path / "run", on_collapse="rollback", evaluate_every=2)
    assert str(caught.value).startswith("the checkpoint is damaged; start the run again; the checkpoint of step ")
    assert "fetch or export it again" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [{"log_every": 3}, {"evaluate_every": 3}, {"checkpoint_every": 3}, {"algorithm_options": WARM}],
    ids=["logs", "evaluates", "saves", "evaluates before it goes adversarial"],
)
def test_late_checks_log_and_save_nothing_after_a_bad_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """The second step is bad. Where values are not looked at as they come, the first who would use one finds it."""
    monkeypatch.setattr(loop, "asynchronous", lambda device: True)
    run, rare = tmp_path / "run", {"log_every": 100, "evaluate_every": 100, "checkpoint_every": 100}
    with pytest.raises(NonFinite) as caught:
        execute(diverging(**rare | {"algorithm_options": {}} | settings), out=run)
    assert str(caught.value).startswith("step 2: the loss of phase mle is nan and its gradient's norm nan; lower the ")
    assert str(caught.value).endswith(f"; the checkpoint of step 0 is kept in {run}")
    assert checkpoint.latest(run / "checkpoints").step == 0
    assert RunFolder(run).metrics.read() == [] and not RunFolder(run).before.exists()


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    """The only step has finite losses and gradients; its learning rate makes the weights infinite."""
    settings = {"steps": 1, "algorithm_options": {"warmup": 0, "discriminator_warmup": 0}}
    run = tmp_path / "run"
    with pytest.raises(NonFinite) as caught:
        execute(tiny_config("lstm", "conv", generator_optimizer_options={"lr": 1e308}, **settings), out=run)
    assert str(caught.value) == (
        "step 1: the weights of the generator are not finite; lower its learning rate or --clip, or add a penalty; "
        f"the checkpoint of step 0 is kept in {run}"
    )
    assert checkpoint.latest(run / "checkpoints").step == 0


FALLING = """
import torch
from torch import nn

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_lstm.networks import LSTMGenerator
from ganlm_lstm.options import LSTMGeneratorOptions

@hookimpl
def ganlm_components():
    yield ComponentSpec("generator", "falling", f"{__name__}:Falling", LSTMGeneratorOptions)

class Falling(LSTMGenerator):
    def __init__(self, shape, options):
        super().__init__(shape, options)
        self.requires_grad_(False)
        self.drift = nn.Parameter(torch.zeros(()))
        self.drift.register_hook(torch.ones_like)

    def fall(self, logits):
        one_word = torch.zeros(self.shape.vocabulary)
        one_word[-1] = 1000.0
        return logits + 0 * self.drift + (self.drift < -3.5) * one_word

    def forward(self, noise, tokens=None):
        return self.fall(super().forward(noise, tokens))

    def step(self, tokens, state):
        logits, state = super().step(tokens, state)
        return self.fall(logits), state
"""
"""A generator that does not learn. It moves by its learning rate in each step, and writes one word from 3.5 on."""


def test_a_collapse_that_no_test_made_up_is_seen_and_survived(ganlm: Ganlm) -> None:
    """At a rate of 1 it is at 4 after step 4; at half of that it gets to 3 by the last."""
    Path("falling.py").write_text(FALLING)
    arguments = ["run", "--plugin", "falling.py", "--gen", "falling", "--gen.hidden-size", 8, "--gen.embedding-size", 8,
                 "--recipe", "mle", "--corpus.size", 300, "--steps", 6, "--batch-size", 8, "--noise-size", 4,
                 "--evaluate-every", 4, "--evaluation-samples", 20, "--patience", 0, "--gen-optimizer", "sgd",
                 "--gen-optimizer.lr", 1, "--gen-optimizer.momentum", 0, "--clip", 0, "--out", "run"]  # fmt: skip
    code, _, err = ganlm(*arguments, "--on-collapse", "rollback", "--keep", "best")
    assert code == 0
    assert "warning: the generator collapsed after step 4: samples repeat: 0.4% distinct " in err
    assert "back at step 0; going on with 0.5 of the learning rates" in err
    assert err.count("collapsed") == 1
    best = json.loads(Path("run/bundle/evaluation.json").read_text())["after"]
    assert best["distinct"] > 0.5, "of a generator that is as it was built"
    page = Path("run/report.html").read_text()
    assert "<h2>Problems</h2>" in page
    assert "<li>Back to step 0: the generator collapsed after step 4: samples repeat: " in page


SETTINGS = {"on_collapse": "rollback", "keep": "best", "patience": 2, "evaluate_every": 2, "checkpoint_every": 1}
"""A run of everything: no better at 3, where adversarial training starts, a collapse at 4, no better at 4 again."""


def everything(step: int, values: Values) -> Values:
    return {"validation_nll": {2: 1.0}.get(step, 2.0)}


class Killed(BaseException):
    """Ends a run at once. benchmarks/faults.py kills processes."""


def killing(function: Callable[..., Any], when: Callable[..., bool]) -> Callable[..., Any]:
    """``function``, but after the first call of which ``when`` is true everything ends."""
    dead: list[bool] = []

    def call(*arguments: Any, **more: Any) -> Any:
        result = function(*arguments, **more)
        if not dead and when(*arguments, **more):
            dead.append(True)
            raise Killed
        return result

    return call


MOMENTS: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "the step after the best": (checkpoint, "save", lambda folder, step, **_: step == 3),
    "the collapse": (MetricsLog, "append", lambda self, record: "collapse" in record),
    "the good checkpoint was read": (checkpoint, "at", lambda *_: True),
    "the later checkpoints were removed": (checkpoint, "remove_after", lambda *_: True),
    "the record of the rollback": (MetricsLog, "append", lambda self, record: "rollback" in record),
    "the checkpoint of the rollback": (
        checkpoint,
        "save",
        lambda folder, step, extra, **_: step == 3 and extra["progress"]["rollbacks"] == 1,
    ),
    "a step after the rollback": (
        checkpoint,
        "save",
        lambda folder, step, extra, **_: step == 4 and extra["progress"]["rollbacks"] == 1,
    ),
    "the last checkpoint": (checkpoint, "save", lambda folder, step, extra, **_: bool(extra["progress"]["stopped"])),
    "the final evaluation": (MetricsLog, "append", lambda self, record: "weights_step" in record),
}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("unbroken") / "run"
    with pytest.MonkeyPatch.context() as patch:
        _script_everything(patch)
        execute(config(**SETTINGS), out=run)
    info = RunFolder(run).info()
    assert (info["weights_step"], info["stopped"]) == (2, "no evaluation was better than that of step 2")
    assert [record["step"] for record in RunFolder(run).metrics.steps()] == [1, 2, 3, 4]
    return run


def _script_everything(patch: pytest.MonkeyPatch) -> None:
    true, once = monitor.interim_evaluation, collapsed_once(4)

    def interim_evaluation(experiment: Setup, step: int) -> tuple[Values, list[str]]:
        values, samples = true(experiment, step)
        return values | everything(step, values) | once(step, values), samples

    patch.setattr(monitor, "interim_evaluation", interim_evaluation)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_after_anything_it_resumes_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: Path, moment: str
) -> None:
    _script_everything(monkeypatch)
    owner, name, when = MOMENTS[moment]
    monkeypatch.setattr(owner, name, killing(getattr(owner, name), when))
    run = tmp_path / "run"
    with pytest.raises(TrainingError, match="failed with Killed"):
        execute(config(**SETTINGS), out=run)
    assert not (run / "bundle").exists()
    execute(RunFolder(run).load_config(default_host()), resume=run)
    found, wanted = files_of(run), files_of(unbroken)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []


def test_an_ordinary_run_has_no_collapse(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert [line for line in watched(run).said if "collapsed" in line] == []
    assert collapses(run) == {}
