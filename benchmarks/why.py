"""Measure how much discriminators see of a generator's distance from the grammar; print the table of docs/why.md.

    python benchmarks/why.py --seeds 0..2

trains, for each seed, the generator, a second language model and one discriminator for each row, on the same sentences.
Further rows are named with their options of ``ganlm run``: ``--add "wide=--recipe discriminator --disc.filters 256"``.
Runs that are finished in the folder are not trained again.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from ganlm_core import load
from ganlm_core.bundle.calibration import fit
from ganlm_core.bundle.model import Model
from ganlm_core.cli import run_command
from ganlm_core.data.grammar import Grammar
from ganlm_core.evaluation.tables import Cell, Number, Table
from ganlm_core.metrics.discrimination import Score, accuracy, auc, total_variation
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep.plan import named_plan
from ganlm_core.sweep.processes import Processes, run_plan
from ganlm_core.sweep.settings import values_of

GENERATOR = (
    "--recipe mle --gen lstm --gen.embedding-size 64 --gen.hidden-size 128 --gen.dropout 0 --gen.tie false "
    "--gen-optimizer.lr 0.003 --steps 1200 --keep last --patience 0"
)
"""Maximum likelihood without dropout and without noise, so that likelihoods are exact; weaker than the recipes."""

RIVAL = "--recipe mle --gen lstm --gen.dropout 0.4 --gen-optimizer.lr 0.003 --steps 1500 --patience 0"
"""The second language model, with dropout."""

ALONE = "--recipe discriminator --disc"
ROWS = {
    "conv": f"{ALONE} conv",
    "lstm": f"{ALONE} lstm",
    "conv on damage": f"{ALONE} conv --algorithm.corruption 1 --steps 2400",
    "mlp on damage": f"{ALONE} mlp --disc.hidden-size 512 --algorithm.corruption 1 --steps 2400",
}
"""Discriminators trained against the frozen generator: on its samples, or on real text with an error in it."""

BEST, RATIO, OWN = "the best possible", "two language models", "the generator's own likelihood"
REAL_SEED, DRAWN_SEED = 2**33, 2**33
"""Seeds of the sentences that everything is measured on; no run uses them."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Fresh sentences of the grammar and of a generator, and whether each of the latter is ``valid``."""

    real: Sequence[str]
    drawn: Sequence[str]
    valid: NDArray[np.bool_]

    @classmethod
    def of(cls, generator: Model, n: int) -> "Pairs":
        drawn = generator.sample(n, seed=DRAWN_SEED)
        return cls(Grammar().sample(n, REAL_SEED), drawn, np.isfinite(Grammar().log_prob(drawn)))

    def measure(self, score: Score, is_ratio: bool, log_q: Score) -> list[float]:
        """Return accuracy, AUC, AUC of valid against invalid, the same beside log q, and the valid share reweighted."""
        real, drawn = (np.array(score(texts)) for texts in (self.real, self.drawn))
        ratios, valid = (drawn, self.valid) if is_ratio else (_log_ratios(real, drawn), self.valid[1::2])
        weights = np.exp(ratios - ratios.max())
        cleaned = float(weights[valid].sum() / weights.sum())
        errors = auc(drawn[self.valid], drawn[~self.valid]) if 0 < self.valid.sum() < len(drawn) else np.nan
        return [accuracy(real, drawn), auc(real, drawn), errors, self._beside(drawn, log_q), cleaned]

    def _beside(self, scores: Floats, log_q: Score) -> float:
        """Return the AUC of valid against invalid of the best sum of the scores, log q(x) and the length.

        The weights are of a logistic regression on one half of the sentences, the AUC is of the other half.
        """
        lengths = np.array([len(text.split()) for text in self.drawn])
        inputs = np.stack([scores.clip(-1e3, 1e3), np.array(log_q(self.drawn)), lengths], axis=1)
        inputs = torch.from_numpy((inputs - inputs.mean(axis=0)) / inputs.std(axis=0).clip(min=1e-9))
        valid = torch.from_numpy(self.valid)
        weights = logistic(inputs[::2], valid[::2])
        found, right = (inputs[1::2] @ weights).numpy(), self.valid[1::2]
        return auc(found[right], found[~right]) if 0 < right.sum() < len(right) else np.nan


def logistic(inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the weights (F,) of a logistic regression with an intercept, of labels (N,) on inputs (N, F)."""
    inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
    weights = inputs.new_zeros(inputs.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(inputs @ weights, labels.to(inputs))
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]  # torch types the loss as a float and takes tensors
    return weights.detach()[:-1]


def _log_ratios(real: Floats, drawn: Floats) -> Floats:
    """Return log p(x) - log q(x) of every second drawn sentence, calibrated on the other half."""
    halves = torch.from_numpy(real[::2]), torch.from_numpy(drawn[::2])
    return fit(*halves).log_ratio(torch.from_numpy(drawn[1::2])).numpy()


@click.command(context_settings={"show_default": True})
@click.option("--seeds", default="0..2", help="seeds, comma-separated or a range")
@click.option("--rows", default=",".join(ROWS), help="binary discriminators, comma-separated; '' for none")
@click.option("--add", "added", multiple=True, metavar="NAME=OPTIONS", help="a further row; can be repeated")
@click.option("-n", "count", default=5000, help="sentences of each kind in a measurement")
@click.option("--generator", default=GENERATOR, help="options of the generator")
@click.option("--rival", default=RIVAL, help="options of the second language model")
@click.option("--text", default="--data grammar", help="options of every run: the text")
@click.option("--jobs", type=click.IntRange(1), default=1, help="runs at once")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("runs/why"), help="folder of the runs")
def main(
    seeds: str,
    rows: str,
    added: Sequence[str],
    count: int,
    generator: str,
    rival: str,
    text: str,
    jobs: int,
    folder: Path,
) -> None:
    """Train what is missing, measure, and print the table as Markdown."""
    chosen = {name: ROWS[name] for name in rows.split(",") if name} | dict(each.split("=", 1) for each in added)
    found: dict[str, list[list[float]]] = {}
    variations = []
    for seed in values_of(seeds):
        common = f"--seed {seed} {text}"
        models = trained(generator, rival, chosen, common, jobs, folder / f"seed-{seed}")
        pairs = Pairs.of(models["generator"], count)
        log_q = models["generator"].log_prob
        variations.append(total_variation(Grammar().log_prob, log_q, pairs.real, pairs.drawn).value)
        scores = {BEST: minus(Grammar().log_prob, log_q), RATIO: minus(models["rival"].log_prob, log_q), OWN: log_q}
        scores |= {name: models[name].score for name in chosen}
        for name, score in scores.items():
            found.setdefault(name, []).append(pairs.measure(score, name in (BEST, RATIO), log_q))
        found.setdefault("generator", []).append([float(pairs.valid.mean())])
    click.echo(table(found, variations).text("markdown"))


def minus(one: Score, other: Score) -> Score:
    """Return the difference of two log-probabilities: the logit of a likelihood ratio."""
    return lambda texts: list(np.array(one(texts)) - np.array(other(texts)))


def trained(
    generator: str, rival: str, rows: Mapping[str, str], common: str, jobs: int, folder: Path
) -> dict[str, Model]:
    """Train the models of a seed: the generator and its rival first, then discriminators against the generator."""
    first = {"generator": f"{generator} {common}", "rival": f"{rival} {common}"}
    models = _run(first, folder / "models", jobs)
    bundle = folder / "models" / "generator" / "bundle"
    against = {name: f"{row} --from-gen {bundle.resolve()} {common}" for name, row in rows.items()}
    return models | (_run(against, folder / "discriminators", jobs) if against else {})


def _run(commands: Mapping[str, str], folder: Path, jobs: int) -> dict[str, Model]:
    """Train runs by name and load their bundles."""
    host = default_host()
    plan = named_plan(host, {name: shlex.split(command) for name, command in commands.items()})
    models = {}
    for name, run in zip(commands, run_plan(plan, host, folder, Processes(jobs)), strict=True):
        if run.failure:
            raise click.ClickException(f"{name} failed: {run.failure}")
        models[name] = load(run.run)
    return models


def table(found: Mapping[str, Sequence[Sequence[float]]], variations: Sequence[float]) -> Table:
    """Return the table: a row for each discriminator, means and standard deviations over seeds."""
    header = ["discriminator", "accuracy", "AUC", "AUC of errors", "beside the likelihood", "valid after reweighting"]
    shares = (True, False, False, False, True)
    rows: list[list[Cell]] = [
        [name, *(_number(values, share) for values, share in zip(zip(*seeds, strict=True), shares, strict=True))]
        for name, seeds in found.items()
        if name != "generator"
    ]
    valid = Number.of([share for (share,) in found["generator"]], share=True)
    told = f"The generator has {valid} valid sentences and a TV of {Number.of(variations)}; {len(variations)} seeds."
    return Table(header, rows, "", [told])


def _number(values: Sequence[float], share: bool) -> Number:
    """Return the mean over seeds; without seeds whose samples are all valid or all invalid, which have no AUC."""
    return Number.of([value for value in values if np.isfinite(value)], share)


if __name__ == "__main__":
    sys.exit(run_command(main))
