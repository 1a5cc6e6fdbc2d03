"""Train a bundle further on 300 sentences, beside training on these sentences alone; write ``docs/finetune.md``.

    python benchmarks/finetune.py

The bundle of the package knows statements, and the 300 sentences are questions of a grammar of their own, whose exact
probabilities are known. The settings were chosen with other seeds and other held-out questions (``--tuning``).
"""

import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

import click
import jinja2
import numpy as np

from ganlm_core import load
from ganlm_core.bundle.model import Model
from ganlm_core.cli import run_command
from ganlm_core.data.grammar import RULES, WORDS, Grammar
from ganlm_core.data.text import identity
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep.plan import named_plan
from ganlm_core.sweep.processes import Processes, run_plan
from ganlm_core.system.devices import machine

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "finetune.md"

VERBS = ("PersonMoves", "Meet", "Tend", "Write", "AnimalMoves", "Chase", "Eat", "VehicleMoves", "Carry")
QUESTIONS = Grammar(
    RULES
    | {
        "Sentence": "1 Question ?",
        "Question": "4 Does# Person# PersonBase | 4 Does# Animal# AnimalBase | 1 Does# Vehicle# VehicleBase",
        "Does#": "1 does/do",
        "PersonBase": "2 PersonMovesBase | 1 PersonMovesBase Place | 2 MeetBase SomePerson | 2 TendBase SomeAnimal"
        " | 2 WriteBase SomeText",
        "AnimalBase": "2 AnimalMovesBase | 1 AnimalMovesBase Place | 3 ChaseBase SomeAnimal | 2 EatBase SomeFood",
        "VehicleBase": "2 VehicleMovesBase Place | 1 CarryBase SomePerson",
    },
    WORDS | {f"{verb}Base": " ".join(word.partition("/")[2] for word in WORDS[f"{verb}#"].split()) for verb in VERBS},
)
"""Questions such as "does the dog near the river sleep ?": verbs have another form than in statements."""

SENTENCES, HELD_OUT, SAMPLES = 300, 2000, 2000
HELD_OUT_SEED, TUNING_SEED, SAMPLE_SEED = 2**33, 2**32, 1
TEMPERATURES = (1.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.5, 2.0)

BUNDLE = "zoo:lstm-conv.autoregressive-grammar"
AS_IT_IS = "the bundle as it is"
SHARED = "--recipe mle --patience 20 --tokenizer.max-length 15"
METHODS = {
    "the 300 questions alone": f"{SHARED} --steps 1500 --gen-optimizer.lr 0.005 --gen.hidden-size 64 "
    "--gen.embedding-size 64 --gen.dropout 0.5",
    "the bundle, trained further": f"{SHARED} --steps 400 --from {BUNDLE} --grow-vocabulary --gen-optimizer.lr 0.003",
    "the same without --grow-vocabulary": f"{SHARED} --steps 400 --from {BUNDLE} --gen-optimizer.lr 0.003",
}
"""The arguments of ``ganlm run`` besides ``--data`` and ``--seed``, by what the model knows."""

Values = Mapping[str, float]


@click.command(context_settings={"show_default": True})
@click.option("--seeds", default="0,1,2", help="seeds of the runs and of their questions, comma-separated")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("runs/finetune"), help="folder of the runs")
@click.option("--tuning", is_flag=True, help="measure on other held-out questions, and write no page")
def main(seeds: str, folder: Path, tuning: bool) -> None:
    """Train each method with each seed and write the page."""
    chosen = [int(seed) for seed in seeds.split(",")]
    held_out = QUESTIONS.sample(HELD_OUT, TUNING_SEED if tuning else HELD_OUT_SEED)
    models = {AS_IT_IS: [load(BUNDLE)], **train(chosen, folder)}
    found = {method: [measure(model, held_out) for model in own] for method, own in models.items()}
    for method, values in found.items():
        click.echo(f"{method}: {values}", err=True)
    if not tuning:
        PAGE.write_text(page(found, held_out), encoding="utf-8")


def train(seeds: Sequence[int], folder: Path) -> dict[str, list[Model]]:
    """Return the models of each method, one for each seed. Runs that are in the folder are not made again."""
    runs = {
        f"{number}-{seed}": [*shlex.split(words), "--data", str(text(folder, seed)), "--seed", str(seed)]
        for number, words in enumerate(METHODS.values())
        for seed in seeds
    }
    trained = run_plan(named_plan(default_host(), runs), default_host(), folder / "runs", Processes())
    for run in trained:
        if run.failure:
            raise click.ClickException(f"{run.run} failed: {run.failure}")
    models = [load(run.run) for run in trained]
    return {method: models[len(seeds) * number :][: len(seeds)] for number, method in enumerate(METHODS)}


def text(folder: Path, seed: int) -> Path:
    """Write the questions of a seed to a file, one a line, and return its path."""
    path = folder / f"questions-{seed}.txt"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{question}\n" for question in QUESTIONS.sample(SENTENCES, seed)))
    return path


def measure(model: Model, held_out: Sequence[str]) -> Values:
    """Return the held-out NLL, the validity of samples, and their validity where they are as diverse as real text."""
    curve = [drawn(model.sample(SAMPLES, seed=SAMPLE_SEED, temperature=temperature)) for temperature in TEMPERATURES]
    real = drawn(QUESTIONS.sample(SAMPLES, HELD_OUT_SEED + 1))["distinct"]
    return {"nll": nll(model, held_out), **curve[0], "matched": at_diversity(curve, real)}


def drawn(texts: Sequence[str]) -> dict[str, float]:
    """Return the share of texts that are questions of the grammar, and the share of different texts."""
    return {
        "valid": mean(score > -math.inf for score in QUESTIONS.log_prob(texts)),
        "distinct": len(set(map(identity, texts))) / len(texts),
    }


def at_diversity(curve: Sequence[Values], distinct: float) -> float:
    """Interpolate the validity to the temperature at which a share ``distinct`` of the texts differ."""
    points = sorted(curve, key=lambda values: values["distinct"])
    places, valid = ([values[key] for values in points] for key in ("distinct", "valid"))
    return float(np.interp(distinct, places, valid))


def nll(model: Model, texts: Sequence[str]) -> float:
    """Return nats per token, ``<eos>`` included.

    The words of the grammar that the model does not know share the probability of ``<unk>`` equally, so that a small
    vocabulary is no advantage.
    """
    known = set(json.loads(model.tokenizer.to_json())["model"]["vocab"])
    unknown = sum(word not in known for text in texts for word in text.split())
    share = math.log(max(1, len(set(QUESTIONS.words) - known)))
    tokens = sum(len(text.split()) + 1 for text in texts)
    return (unknown * share - sum(model.log_prob(texts))) / tokens


def page(found: Mapping[str, Sequence[Values]], held_out: Sequence[str]) -> str:
    """Return the page."""
    tokens = sum(len(text.split()) + 1 for text in held_out) / len(held_out)
    real = drawn(QUESTIONS.sample(SAMPLES, HELD_OUT_SEED + 1))
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(Path(__file__).with_suffix(".md.j2").read_text()).render(
        bundle=BUNDLE,
        commands={
            method: f"ganlm run --data runs/finetune/questions-0.txt --seed 0 {words}"
            for method, words in METHODS.items()
        },
        rows={method: cells(values) for method, values in found.items()},
        perfect=[f"{QUESTIONS.entropy() / tokens:.2f}", "100.0%", f"{real['distinct']:.1%}", "100.0%"],
        examples=QUESTIONS.sample(3, 0),
        sentences=SENTENCES,
        samples=f"{SAMPLES:,}",
        held_out=f"{len(held_out):,}",
        machine=machine(),
    )


def cells(values: Sequence[Values]) -> list[str]:
    """Return the mean of each measure, with the standard deviation over several seeds."""
    shares = ([100 * each[key] for each in values] for key in ("valid", "distinct", "matched"))
    return [spread([each["nll"] for each in values], 2), *(f"{spread(share, 1)}%" for share in shares)]


def spread(values: Sequence[float], digits: int) -> str:
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


if __name__ == "__main__":
    sys.exit(run_command(main))
