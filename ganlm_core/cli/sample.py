"""``ganlm sample``: sentences from the generator of a bundle."""

from pathlib import Path

import click

from ganlm_core.cli.context import current_host
from ganlm_core.files import to_json

POSITIVE = click.FloatRange(0, min_open=True)
SHARE = click.FloatRange(0, 1, min_open=True)
PROMPT = "what every sentence begins with; for generators that write word by word"


@click.command(context_settings={"show_default": True})
@click.argument("bundle", metavar="BUNDLE|RUN", type=click.Path(path_type=Path))
@click.option("-n", "count", type=click.IntRange(0), default=10, help="sentences to draw")
@click.option("--prompt", metavar="TEXT", default="", show_default=False, help=PROMPT)
@click.option("--temperature", type=POSITIVE, default=1.0, help="below 1, likely words get likelier; above 1, less so")
@click.option("--top-k", type=click.IntRange(0), default=0, help="draw from the k likeliest words; 0 for all")
@click.option("--top-p", type=SHARE, default=1.0, help="draw from the likeliest words that have probability p together")
@click.option("--seed", type=click.IntRange(0), default=0, help="seed of the drawing")
@click.option("--device", default="cpu", help="auto, cpu, cuda, cuda:N or mps")
@click.option("--json", "as_json", is_flag=True, help='print a JSON object a line, {"text": ...}')
def sample(
    bundle: Path,
    count: int,
    prompt: str,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Draw sentences from the generator of a bundle or of a run, one a line.

    The same seed gives the same sentences, however many are asked for.
    """
    from ganlm_core.bundle import load
    from ganlm_core.sampling import Policy

    model = load(bundle, current_host(), device)
    for text in model.stream(count, seed, Policy(temperature, top_k, top_p), prompt=prompt):
        click.echo(to_json({"text": text}) if as_json else text)
