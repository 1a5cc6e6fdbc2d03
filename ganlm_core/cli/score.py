"""``ganlm score``: what the discriminator of a bundle thinks of sentences."""

import os
from pathlib import Path

import click

from ganlm_core.cli.calibrating import calibrate, data_option
from ganlm_core.cli.context import current_host
from ganlm_core.system.files import to_json


@click.command()
@click.argument("bundle", metavar="BUNDLE|RUN", type=click.Path(path_type=Path))
@click.argument("file")
@data_option
@click.option("--explain", is_flag=True, help="how much each token speaks for real (+) or for generated (-)")
@click.option("--column", default="text", show_default=True, help="column of a CSV file, key of a JSONL file")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda, cuda:N or mps")
@click.option("--json", "as_json", is_flag=True, help="print a JSON object a line")
def score(bundle: Path, file: str, data: str | None, explain: bool, column: str, device: str, as_json: bool) -> None:
    """The probability that each sentence of FILE is real, if half are real and half are the generator's.

    A bundle is a folder, zoo:NAME for one that 'ganlm list weights' shows, or hf:OWNER/NAME@REVISION.

    FILE has a sentence a line, or is CSV or JSONL, gzipped or not; - is standard input. Blank lines are passed over.
    """
    from ganlm_core.bundle.load import load
    from ganlm_core.bundle.model import BATCH
    from ganlm_core.data.text_files import read_sentences
    from ganlm_core.sampling import PLAIN
    from ganlm_core.system.devices import keep_memory

    keep_memory()
    host = current_host()
    model = load(bundle, host, device)
    sentences, _ = read_sentences(file, column)
    if data is not None:
        model = calibrate(model, host, data, PLAIN)
    show = _json_line if as_json else _line
    for start in range(0, len(sentences), BATCH):
        texts = sentences[start : start + BATCH]
        for text, probability in zip(texts, model.probability(texts), strict=True):
            line = show(text, probability, model.explain(text) if explain else None)
            click.echo(line, color=False if os.environ.get("NO_COLOR") else None)
    cut = sum(length > model.shape.length for length in model.tokenizer.lengths(sentences))
    if cut:
        click.echo(
            f"{cut:,} of {len(sentences):,} sentences were cut: the bundle takes {model.shape.length} tokens at most",
            err=True,
        )


Explanation = list[tuple[str, float]] | None


def _json_line(text: str, probability: float, tokens: Explanation) -> str:
    parts = {} if tokens is None else {"tokens": [{"token": token, "attribution": weight} for token, weight in tokens]}
    return to_json({"text": text, "probability": probability, **parts})


def _line(text: str, probability: float, tokens: Explanation) -> str:
    shown = text if tokens is None else " ".join(_marked(token, weight) for token, weight in tokens)
    return f"{probability:.3f}  {shown}"


def _marked(token: str, weight: float) -> str:
    """The token with its weight: green for real, red for generated, dim where it is next to nothing."""
    colour = "green" if weight > 0 else "red"
    return click.style(f"{token}({weight:+.2f})", fg=colour, dim=abs(weight) < 0.1, bold=abs(weight) > 1)
