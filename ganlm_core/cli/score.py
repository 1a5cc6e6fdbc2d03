"""``ganlm score``: the discriminator's verdict on sentences."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganlm_core.cli.calibration import calibrate
from ganlm_core.cli.context import current_host
from ganlm_core.cli.options import (
    ADDRESSES,
    TEXT_FILE,
    bundle_argument,
    calibration_option,
    corpus_options,
    device_option,
    json_lines_option,
)
from ganlm_core.cli.output import echo_data, echo_styled, in_one_line, note, styled
from ganlm_core.errors import UsageError
from ganlm_core.system.files import to_json

if TYPE_CHECKING:
    from ganlm_core.bundle.model import Model


@click.command()
@bundle_argument
@click.argument("file", type=TEXT_FILE)
@calibration_option
@corpus_options
@click.option(
    "--explain",
    is_flag=True,
    help="show how much the log-odds of real fall if each token is left out: + for real, - for generated; "
    "the numbers do not add up to the sentence's",
)
@device_option
@json_lines_option
def score(
    bundle: str, file: str, data: str | None, corpus: Mapping[str, Any], explain: bool, device: str, as_json: bool
) -> None:
    from ganlm_core.bundle.model import BATCH
    from ganlm_core.cli.source import load_source
    from ganlm_core.data.text_files import read_sentences
    from ganlm_core.sampling import PLAIN
    from ganlm_core.system.devices import keep_memory

    if Path(bundle).is_file():
        raise UsageError(f"{bundle} is a file; the bundle comes first: ganlm score BUNDLE {bundle}")
    keep_memory()
    host = current_host()
    model = load_source(bundle, host, device, calibrated=data is None)
    read = read_sentences(file, **corpus)
    sentences, labels = read.texts, read.columns.labels if model.labels.names else ()
    if data is not None:
        model = calibrate(model, host, data, corpus, PLAIN)
    for start in range(0, len(sentences), BATCH):
        texts, own = sentences[start : start + BATCH], labels[start : start + BATCH]
        probabilities = model.probability(texts, labels=own)
        for text, probability, name in zip(texts, probabilities, own or [""] * len(texts), strict=True):
            _echo(text, probability, model.explain(text, label=name) if explain else None, as_json, name)
    for line in read.notes:
        note(line)
    if read.columns.labels and not model.labels.names:
        note("the bundle was trained without labels, so --corpus.label has no effect")
    _note_losses(model, sentences)


score.help = f"""Print the probability that each sentence of FILE is real, assuming that half of all sentences are real.

{ADDRESSES} RUN is a run folder; during training, its latest checkpoint is used.

FILE has one sentence per line, or is a CSV, TSV, JSON or JSONL file, gzipped or not; - is standard input. Blank lines
are skipped. A bundle with labels judges each sentence as one of its label, which --corpus.label COLUMN names.
"""


Explanation = list[tuple[str, float]] | None


def _echo(text: str, probability: float, tokens: Explanation, as_json: bool, label: str = "") -> None:
    if as_json:
        echo_data(_json_line(text, probability, tokens, label) + "\n")
    elif tokens is None:
        echo_data(f"{probability:.3f}  {in_one_line(text)}\n")
    else:
        echo_styled(f"{probability:.3f}  {' '.join(_marked(token, weight) for token, weight in tokens)}")


def _json_line(text: str, probability: float, tokens: Explanation, label: str) -> str:
    named = {"label": label} if label else {}
    parts = {} if tokens is None else {"tokens": [{"token": token, "attribution": weight} for token, weight in tokens]}
    return to_json({"text": text, **named, "probability": probability, **parts})


def _marked(token: str, weight: float) -> str:
    """Return the token with its weight: green for real, red for generated, dim where the weight is small."""
    colour = "green" if weight > 0 else "red"
    return styled(f"{in_one_line(token)}({weight:+.2f})", fg=colour, dim=abs(weight) < 0.1, bold=abs(weight) > 1)


def _note_losses(model: "Model", sentences: Sequence[str]) -> None:
    """Note the losses of encoding: cut sentences, and words that are not in the vocabulary."""
    from ganlm_core.data.tokenizer import count_cut
    from ganlm_core.protocol import EOS, NEVER, UNK

    fixed = bool((model.generator.prior[..., EOS] <= NEVER).any())  # its sentences have no <eos>
    cut = unknown = total = 0
    for tokens in model.tokenizer.chunks(sentences, model.shape.length):
        cut += 0 if fixed else count_cut(tokens)
        unknown += int((tokens == UNK).sum())
        total += int((tokens >= UNK).sum())
    if cut:
        note(f"{cut:,} of {len(sentences):,} sentences were cut: the bundle takes {model.shape.length} tokens at most")
    if unknown:
        note(f"{unknown:,} of {total:,} tokens ({unknown / total:.1%}) are <unk>: the bundle does not know them")
