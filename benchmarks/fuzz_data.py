"""Fuzz configurations and data files: write one at random, by a seed, and read it with ``ganlm run``.

    python benchmarks/fuzz_data.py --count 1000

Half of the cases are files for --config, which are resolved; half are data files of every format, which are read, split
and encoded, and their networks built. Each is taken (exit code 0) or refused in one line. Anything else is a fault:
another exit code, a traceback, an "unexpected" error, a control character, a process that dies, or one that takes more
than LIMIT seconds or more than MEMORY bytes. Each case depends only on the seed and its number.
"""

import gzip
import io
import json
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import click
from fuzz_bundles import LONGEST, TOMLS, VALUES, Result, fuzz, report, timed, work_through

from ganlm_core.cli import main as ganlm
from ganlm_core.cli import run_command
from ganlm_core.config.run_config import resolve
from ganlm_core.plugins.host import default_host

BREAKS = ("\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x1f", "\x85", "\u2028", "\u2029", "\n\n", "\0")
"""What may stand between two lines, right or wrong."""

PIECES = (
    "the cat",
    "naïve",
    "cafe\u0301",
    "日本",
    "\t",
    "  ",
    '"',
    "a, b",
    "\ufeff",
    "\u202e",
    "\x1b[2J",
    "{",
    "[",
    "<unk>",
)
ENDINGS = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", "", ".CSV", ".txt.gz", ".csv.gz", ".JSONL.GZ")

NUMBERS = (0, 1, 2, 3, 8, 100, 2**31, 2**63 - 1, 0.0, 1e-45, 0.1, 0.5, 1.0, "cpu", "adam", "mle", "none")
"""Values that an option may have, beside the VALUES that it may hardly have."""


def craft_config(rng: random.Random) -> bytes:
    """Return the configuration of a run with some of its values or names changed, or TOML that is hard to read."""
    if rng.random() < 0.1:
        return rng.choice(TOMLS).encode()
    lines = plain_config().splitlines()
    for _ in range(rng.randint(1, 2)):
        place = rng.randrange(len(lines))
        name, equals, _ = lines[place].partition(" = ")
        lines[place] = f"{name} = {_value(rng)}" if equals and rng.random() < 0.95 else rng.choice(("", "[x]", "x = 1"))
    text = "\n".join(lines).encode()
    return _damaged(rng, text) if rng.random() < 0.2 else text


@cache
def plain_config() -> str:
    return resolve(default_host(), [{"generator": {"lstm": {}}, "discriminator": {"conv": {}}}]).to_toml()


def _value(rng: random.Random) -> str:
    text = json.dumps(rng.choice(NUMBERS if rng.random() < 0.8 else VALUES))
    return {"NaN": "nan", "Infinity": "inf", "null": "1979-05-27"}.get(text, text)


def craft_data(rng: random.Random, ending: str) -> bytes:
    """Return the bytes of a data file in the format of its ending, with values and line breaks at random, or damage."""
    texts = [
        " ".join(rng.choices(PIECES, k=rng.randint(0, 6))) + str(rng.randint(0, 400))
        for _ in range(rng.choice((3, 200, 400)))
    ]
    kind = ending.lower().removesuffix(".gz")
    data = _damaged(rng, _written(rng, kind, texts).encode())
    if rng.random() < 0.05:
        data *= rng.choice((20, 200))  # a longer text, often in one line
    return _damaged(rng, gzip.compress(data)) if ending.lower().endswith(".gz") else data


def _written(rng: random.Random, kind: str, texts: list[str]) -> str:
    line_break = rng.choice(BREAKS[:2]) if rng.random() < 0.7 else rng.choice(BREAKS)
    if kind in (".csv", ".tsv"):
        separator = "," if kind == ".csv" else "\t"
        rows = [f'{number}{separator}"{text.replace(chr(34), chr(34) * 2)}"' for number, text in enumerate(texts)]
        return line_break.join([separator.join(("id", rng.choice(("text",) * 9 + ("txt",)))), *rows])
    if kind in (".json", ".jsonl", ".ndjson"):
        records = [{"text": text if rng.random() < 0.9995 else rng.choice(VALUES[:12])} for text in texts]
        return json.dumps(records) if rng.random() < 0.3 else line_break.join(map(json.dumps, records))
    return line_break.join(texts)


def _damaged(rng: random.Random, data: bytes) -> bytes:
    """Return the data as they are in most cases, or with bytes changed, cut, put in or repeated."""
    place = rng.randint(0, len(data))
    changes: list[Callable[[], bytes]] = [
        lambda: data[:place],
        lambda: data[:place] + rng.randbytes(rng.randint(1, 4)) + data[place:],
        lambda: data[:place] + rng.choice(BREAKS).encode() + data[place:],
        lambda: data[:place] + data[place : place + 50] * rng.choice((2, 1000)) + data[place:],
    ]
    return rng.choice(changes)() if rng.random() < 0.3 else data


def craft(folder: Path, seed: int, number: int) -> list[str]:
    """Write the file of a case and return the arguments of ``ganlm run``."""
    rng = random.Random(f"{seed}/{number}")
    if number % 2:
        (path := folder / "config.toml").write_bytes(craft_config(rng))
        return ["--config", str(path), "--print-config"]
    ending = rng.choice(ENDINGS)
    (path := folder / f"data{ending}").write_bytes(craft_data(rng, ending))
    kind, column = rng.choice(("word", "char", "bpe")), rng.choice(("text",) * 8 + ("id", "\u202e"))
    networks = ["--gen", "mlp", "--disc", "mlp", "--gen.hidden-size", "4", "--disc.hidden-size", "4"]
    return [
        "--data",
        str(path),
        "--corpus.column",
        column,
        "--tokenizer",
        kind,
        *networks,
        "--dry-run",
        "--device",
        "cpu",
    ]


def attempt(arguments: Sequence[str]) -> tuple[str, str]:
    """Run ``ganlm run``. Return whether it takes or refuses the file, and what is wrong if that is a fault."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = ganlm(["run", *arguments])
    except BaseException as error:
        return "refused", f"{type(error).__name__}: {str(error)[:200]}"
    outcome, said = "taken" if code == 0 else "refused", err.getvalue()
    errors = [line for line in said.split("\n") if line.startswith("ganlm: error: ")]
    fits = "Traceback" not in said and "error: unexpected " not in said and len("".join(errors)) < LONGEST
    fits = fits and len(errors) == (code != 0) and code in (0, 1, 2) and said.replace("\n", "").isprintable()
    return outcome, "" if fits else f"exit code {code}: {said[-300:]!r}"


def measure(scratch: Path, seed: int, number: int) -> Result:
    """Craft and attempt one case, and take its time and the peak of its memory."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        arguments = craft(Path(folder), seed, number)
        return timed(number, lambda: attempt(arguments))


def _work(scratch: Path, seed: int, numbers: range, pipe: Connection) -> None:
    """Measure cases in a process of its own."""
    (plain := scratch / "plain.txt").write_text("\n".join(f"sentence {number}" for number in range(200)))
    attempt(["--data", str(plain), "--dry-run", "--device", "cpu"])  # what the first use of torch takes is not counted
    work_through(lambda number: measure(scratch, seed, number), numbers, pipe)


@click.command(context_settings={"show_default": True})
@click.option("--count", type=click.IntRange(1), default=1000, help="cases")
@click.option("--first", type=click.IntRange(0), default=0, help="number of the first case")
@click.option("--seed", type=click.IntRange(0), default=0, help="seed of all cases")
def main(count: int, first: int, seed: int) -> None:
    """Fuzz configurations and data files, and print how many were taken and refused, and every fault."""
    with tempfile.TemporaryDirectory(prefix="ganlm-fuzz-") as name:
        report(fuzz(_work, (Path(name), seed), range(first, first + count)), ("taken", "refused"))


if __name__ == "__main__":
    sys.exit(run_command(main))
