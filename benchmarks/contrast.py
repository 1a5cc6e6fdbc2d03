"""Train copies of a generator on real text, and to tell real text from its samples; compare them at equal steps.

    python benchmarks/contrast.py zoo:lstm.mle-grammar --seeds 0..2

Both copies start from the generator's weights. One goes on by maximum likelihood. The other is the discriminator
log r(x) - log q(x) of a generator q that stays as it is, trained by binary cross-entropy on as many real sentences and
as many samples (:class:`ganlm_core.sampling.LikelihoodRatio`); at its best, r is the process. So the second copy sees
all that the first sees, and samples as well: it shows what samples add.
"""

import copy
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import click
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlm_core.bundle.model import Model
from ganlm_core.cli import run_command
from ganlm_core.data.corpus import Corpus
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.evaluate import EvaluationSettings, choose_metrics, evaluate
from ganlm_core.evaluation.sources import Source, open_sources, real_text
from ganlm_core.evaluation.tables import Cell, Number, Table
from ganlm_core.plugins.host import default_host
from ganlm_core.protocol import Generator, mask_of
from ganlm_core.sampling import log_likelihood, sample
from ganlm_core.sweep.settings import values_of

COLUMNS = {"valid": "valid", "test_nll": "held-out NLL", "tv": "TV"}
START = "the generator"

Loss = Callable[[Generator, Generator, Tensor], Tensor]
"""The loss of a copy, beside the generator, on ids (B, T) of real sentences."""


@dataclass(frozen=True)
class Training:
    """Adam with a learning rate that falls to zero, on ``batch`` real sentences a step, with dropout ``dropout``."""

    steps: int
    lr: float
    dropout: float
    batch: int = 64

    def copy_of(self, generator: Generator, tokens: Tensor, loss: Loss, seed: int) -> Generator:
        """Return a trained copy of the generator, in evaluation mode."""
        torch.manual_seed(seed)
        trained = copy.deepcopy(generator).requires_grad_(True).train()
        for module in trained.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = self.dropout
        optimizer = torch.optim.Adam(trained.parameters(), lr=self.lr, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1e-3, self.steps)
        for _ in range(self.steps):
            optimizer.zero_grad()
            loss(trained, generator, tokens[torch.randint(len(tokens), (self.batch,))]).backward()
            torch.nn.utils.clip_grad_norm_(trained.parameters(), 5.0)
            optimizer.step()
            schedule.step()
        return trained.eval().requires_grad_(False)


def likelihood(trained: Generator, generator: Generator, real: Tensor) -> Tensor:
    """Return the negative log-likelihood of real text, in nats per token."""
    mask = mask_of(real)
    return -log_likelihood(trained, no_noise(real), real, mask).sum() / mask.sum()


def contrast(trained: Generator, generator: Generator, real: Tensor) -> Tensor:
    """Return the binary cross-entropy of log r(x) - log q(x), on real text and as many samples of q."""
    with torch.no_grad():
        both = torch.cat([real, sample(generator, no_noise(real)).tokens])
        mask = mask_of(both)
        own = log_likelihood(generator, no_noise(both), both, mask).sum(dim=1)
    logits = log_likelihood(trained, no_noise(both), both, mask).sum(dim=1) - own
    return F.softplus(-logits[: len(real)]).mean() + F.softplus(logits[len(real) :]).mean()


def no_noise(tokens: Tensor) -> Tensor:
    """Return the noise (B, 0) of ids (B, T)."""
    return torch.zeros(len(tokens), 0)


LOSSES: dict[str, Loss] = {"on real text": likelihood, "on real text against samples": contrast}


@click.command(context_settings={"show_default": True})
@click.argument("bundle")
@click.option("--seeds", default="0..2", help="seeds of the training, comma-separated or a range")
@click.option("--steps", default=600)
@click.option("--lr", default=1e-4)
@click.option("--dropout", default=0.5, help="dropout of the copies")
@click.option("-n", "count", default=5000, help="sentences of each measurement")
def main(bundle: str, seeds: str, steps: int, lr: float, dropout: float, count: int) -> None:
    """Print the values of a generator of the grammar and of both copies."""
    torch.set_num_threads(1)
    source, *_ = sources = open_sources(default_host(), [bundle])
    corpus, start = real_text(default_host(), sources), source.model
    if corpus.process is None or start is None or not start.generator.autoregressive or start.generator.shape.noise:
        raise UsageError(
            f"{bundle} has no exact likelihoods; give an autoregressive model of the grammar, without noise"
        )
    found: dict[str, list[dict[str, float]]] = {name: [] for name in LOSSES}
    for seed in map(int, values_of(seeds)):
        for name, model, seconds in copies(start, corpus, Training(steps, lr, dropout), seed):
            found[name].append(measured(model, corpus, count) | {"seconds": seconds})
    own = measured(start, corpus, count)
    columns = COLUMNS | {"seconds": "CPU seconds"}
    rows: list[list[Cell]] = [[START, *(f"{own[key]:.4f}" for key in COLUMNS), "-"]]
    rows += [[name, *(Number.of(each[key] for each in some) for key in columns)] for name, some in found.items()]
    click.echo(Table(["", *columns.values()], rows, "").text("markdown"))


def copies(model: Model, corpus: Corpus, training: Training, seed: int) -> Iterator[tuple[str, Model, float]]:
    """Train a copy by each loss; yield its name, the copy and its CPU seconds."""
    tokens, _ = model.tokenizer.encode(corpus.train, model.shape.length)
    for name, loss in LOSSES.items():
        began = time.process_time()
        trained = training.copy_of(model.generator, tokens, loss, seed)
        yield name, replace(model, generator=trained), time.process_time() - began


def measured(model: Model, corpus: Corpus, count: int) -> dict[str, float]:
    """Return the values of the columns at temperature 1."""
    metrics = choose_metrics(default_host(), ("validity", "likelihood", "distance"))
    scores = evaluate(
        default_host(), [Source("model", START, model)], corpus, EvaluationSettings(metrics, [1.0], count)
    )
    values = next(row.values for row in scores.rows if row.title == START)
    return {name: values[name] for name in COLUMNS}


if __name__ == "__main__":
    sys.exit(run_command(main))
