"""Fuzz bundles: change a bundle at random, by a seed, and look whether it is loaded, refused in one line or verified.

    python benchmarks/fuzz_bundles.py --count 10000

Anything else is a fault: another exception, a message of several lines or with control characters, a process that
dies, one that takes more than LIMIT seconds or more than MEMORY bytes. Each case depends only on the seed and its
number: ``--first N --count 1`` repeats it. The exit code is 1 if there is a fault.
"""

import json
import multiprocessing
import os
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import torch

from ganlm_core.bundle.load import load
from ganlm_core.bundle.save import save
from ganlm_core.bundle.verify import verify
from ganlm_core.cli import run_command
from ganlm_core.config.make_config import make_config
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import NonFinite, PluginError, WeightsError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.protocol import Shape
from ganlm_core.system.sums import SUMS, write_sums

LIMIT = 60.0
"""Seconds that a case may take."""

MEMORY = 256 * 2**20
"""Bytes that a case may take beyond what the process had before."""

LARGEST = 2**24
"""Bytes of a file that a change reads."""

LONGEST = 2000
"""Characters that a message may have."""

ADDRESSES = 4 * 2**30
"""Bytes of address space that a case may ask for, so that a fault does not take the machine's memory."""

TEXTS = ["a cat sees the dog", "the dogs see a cat"] * 10
KINDS = (("lstm", "conv", "word"), ("transformer", "lstm", "char"), ("mlp", "conv", "bpe"))
SIZES = {"hidden_size": 8, "embedding_size": 4, "filters": 3, "heads": 2, "layers": 1}

JSON_FILES = ("config.json", "tokenizer.json", "evaluation.json", "selftest.json", "calibration.json")
WEIGHTS = ("generator.safetensors", "discriminator.safetensors")

VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2**16 + 1, 2**31, 2**63, 10**400, 0.5, 1e308, float("nan"), float("inf"), "", "x",
    "x" * 10**5, "../x", "/etc/passwd", "\0", "\x1b[2J", "\u202e", "\ud800", "a\nb", "os:system", "lstm", [], {}, [[]],
    [0] * 10**4, {"a": {"b": {}}}, [[[[[[[[[]]]]]]]]],
)  # fmt: skip

TOMLS = (
    "a=" + "[" * 2000,
    "a=" + "{b=" * 2000,
    "a" + ".a" * 5000 + "=1",
    "[" + "a." * 5000 + "a]",
    "a=" + "9" * 5001,
    "a='''",
    "\ufeffa=1",
    "a=1\na=2",
    'a="\\ud800"',
    "a=1e400\nb=nan",
)


@dataclass(frozen=True)
class Result:
    """What became of a case: ``refused``, ``loaded``, ``verified``, or a fault, which says more."""

    number: int
    outcome: str
    fault: str = ""
    seconds: float = 0.0
    memory: int = 0


def make_bundles(folder: Path, host: Host) -> list[Path]:
    """Write a small bundle for each of KINDS."""
    return [_make_bundle(folder / "-".join(kinds), host, *kinds) for kinds in KINDS]


def _make_bundle(folder: Path, host: Host, generator: str, discriminator: str, tokenizer: str) -> Path:
    sizes = {
        f"{kind}_options": {option.name: SIZES[option.name] for option in options.fields() if option.name in SIZES}
        for kind, name in (("generator", generator), ("discriminator", discriminator))
        for options in [host.spec(kind, name).options]
    }
    config = make_config(generator, discriminator, host=host, **sizes)
    trained = Tokenizer.train(tokenizer, TEXTS, 300)
    shape = Shape(trained.vocabulary_size, 8, 3)
    torch.manual_seed(0)
    choices = {"generator": config.generator, "discriminator": config.discriminator}
    networks = {kind: host.build(kind, each.name, each.options, shape=shape) for kind, each in choices.items()}
    evaluation = {"after": {"distinct": 0.5, "test_nll": 2.5}, "samples": 100, "seed": 0}
    return save(
        folder,
        config=config,
        shape=shape,
        networks=networks,
        tokenizer=trained,
        evaluation=evaluation,
        host=host,
        corpus=dict.fromkeys(("train", "validation", "test"), "0" * 64) | {"name": "texts"},
        held_out=TEXTS,
    )


def craft(bundles: list[Path], folder: Path, seed: int, number: int) -> None:
    """Copy one of the bundles to ``folder`` and change it: once to three times, mostly with checksums that match."""
    rng = random.Random(f"{seed}/{number}")
    shutil.copytree(rng.choice(bundles), folder)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        with suppress(ValueError, OSError):  # what an earlier change left may not be fit for another
            rng.choices(list(MUTATIONS), list(MUTATIONS.values()))[0](rng, folder)
    if rng.random() < 0.85:
        _seal(folder)


def _seal(folder: Path) -> None:
    """Write checksums that match the files, as far as there is a checksum for them."""
    names = [path for path in folder.iterdir() if not path.is_file() or path.is_symlink()]
    if not names:
        (folder / SUMS).unlink(missing_ok=True)
        write_sums(folder)


def _some_file(rng: random.Random, folder: Path) -> Path:
    return rng.choice([path for path in sorted(folder.iterdir()) if path.is_file()])


def _read(path: Path) -> bytes:
    """Return the bytes of a file. Raises OSError for what an earlier change made huge, a link, a pipe or a folder."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        raise OSError(f"{path} is not a plain file of at most {LARGEST} bytes")
    return path.read_bytes()


def change_bytes(rng: random.Random, folder: Path) -> None:
    path = _some_file(rng, folder)
    data = bytearray(_read(path))
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((1, 1, 8, 100, 10**6)))
    match rng.randrange(5):
        case 0:
            data[start:end] = bytes(byte ^ 1 << rng.randrange(8) for byte in data[start:end])
        case 1:
            del data[start:end]
        case 2:
            data[start:start] = rng.randbytes(rng.choice((1, 7, 1000)))
        case 3:
            data[start:start] = data[start:end]
        case 4:
            data[start:end] = rng.choice((b"\0", b"\xff", b"\r\n", b"[", b'"', b"9")) * rng.choice((1, 10, 10**5))
    path.write_bytes(data)


def change_json(rng: random.Random, folder: Path) -> None:
    path = folder / rng.choice(JSON_FILES)
    value = json.loads(_read(path).decode())
    path.write_text(json.dumps(_changed(rng, value), ensure_ascii=False), encoding="utf-8", errors="surrogatepass")


def change_header(rng: random.Random, folder: Path) -> None:
    """Change the header of a safetensors file, and keep the bytes of the tensors."""
    path = folder / rng.choice(WEIGHTS)
    data = _read(path)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    text = json.dumps(_changed(rng, header), ensure_ascii=False).encode(errors="surrogatepass")
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def _changed(rng: random.Random, value: Any) -> Any:
    """Return a JSON value with a random part of it replaced, removed, doubled or moved."""
    places = list(_places(value))
    if not places:
        return rng.choice(VALUES)
    holder, key = rng.choice(places)
    match rng.randrange(5):
        case 0 | 1:
            holder[key] = rng.choice(VALUES)
        case 2:
            del holder[key]
        case 3:
            other, place = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[place]))
        case 4 if isinstance(holder, dict):
            holder[str(rng.choice(("more", "", "\0", "x" * 1000)))] = rng.choice(VALUES)
        case 4:
            holder.insert(key, holder[key])
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a JSON value: a dict or list, and the key or index in it."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def change_recipe(rng: random.Random, folder: Path) -> None:
    path = folder / "recipe.toml"
    lines = _read(path).decode().splitlines()
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(TOMLS))
    path.write_text("\n".join(lines), encoding="utf-8")


def change_sums(rng: random.Random, folder: Path) -> None:
    """Change the list of checksums, which is not made again then."""
    path = folder / SUMS
    lines = _read(path).decode().splitlines()
    name = rng.choice(("../x", "C:x", "a:stream", "\0", ".hub.json", "x" * 300, "config.json", "nul"))
    match rng.randrange(3):
        case 0:
            lines.append(f"{'0' * 64}  {name}")
        case 1:
            del lines[rng.randrange(len(lines))]
        case 2:
            lines = []
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "extra").symlink_to(path) if rng.random() < 0.1 else None


def change_files(rng: random.Random, folder: Path) -> None:
    """Remove a file, swap two, or put something else in the place of one."""
    path, other = _some_file(rng, folder), _some_file(rng, folder)
    match rng.randrange(7):
        case 0:
            path.unlink()
        case 1:
            data = _read(path)
            path.write_bytes(_read(other))
            other.write_bytes(data)
        case 2:
            path.unlink()
            path.symlink_to(rng.choice((other.name, "/dev/zero", "missing")))
        case 3:
            path.unlink()
            os.mkfifo(path)
        case 4:
            path.unlink()
            path.mkdir()
        case 5:
            path.write_bytes(b"")
        case 6:
            with path.open("ab") as file:
                file.truncate(rng.choice((2**23 + 1, 2**26 + 1, 2**27)))


def change_line_ends(rng: random.Random, folder: Path) -> None:
    path = _some_file(rng, folder)
    path.write_bytes(_read(path).replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\xe2\x80\xa8"))))


Mutation = Callable[[random.Random, Path], None]

MUTATIONS: dict[Mutation, float] = {
    change_json: 6,
    change_header: 3,
    change_bytes: 4,
    change_recipe: 1,
    change_sums: 1,
    change_files: 1,
    change_line_ends: 0.5,
}
"""The mutations, each with its weight."""


def attempt(folder: Path, host: Host) -> tuple[str, str]:
    """Load a bundle, draw from it and verify it. Return the outcome, and what is wrong with it if it is a fault."""
    outcome = "refused"
    try:
        model = load(folder, host)
        outcome = "loaded"
        if model.shape.length <= 1000:
            with suppress(NonFinite):  # finite weights may give infinite logits
                model.sample(1, batch_size=2)
        verify(folder, host)
    except (WeightsError, PluginError) as error:
        message = str(error)
        fit = message.isprintable() and len(message) < LONGEST
        return outcome, "" if fit else f"an unfit message: {message[:200]!r}"
    except BaseException as error:
        return outcome, f"{type(error).__name__}: {str(error)[:200]}"
    return "verified", ""


def measure(bundles: list[Path], scratch: Path, seed: int, number: int, host: Host) -> Result:
    """Craft and attempt one case, and take its time and the peak of its memory."""
    folder = scratch / str(number)
    craft(bundles, folder, seed, number)
    result = timed(number, lambda: attempt(folder, host))
    shutil.rmtree(folder)
    return result


def timed(number: int, attempt: Callable[[], tuple[str, str]]) -> Result:
    """Return the outcome and the fault of an attempt, with its time and the peak of its memory."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before, began = _memory("VmRSS"), time.monotonic()
    outcome, fault = attempt()
    seconds, memory = time.monotonic() - began, _memory("VmHWM") - before
    if not fault and memory > MEMORY:
        fault = f"it took {memory >> 20} MiB"
    return Result(number, outcome, fault, seconds, memory)


def _memory(field: str) -> int:
    """Return a size of this process from /proc, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def _work(bundles: list[Path], scratch: Path, seed: int, numbers: range, pipe: Connection) -> None:
    """Measure cases in a process of its own."""
    host = default_host()
    attempt(bundles[0], host)  # what the first use of torch takes is not counted
    work_through(lambda number: measure(bundles, scratch, seed, number, host), numbers, pipe)


def work_through(measure: Callable[[int], Result], numbers: range, pipe: Connection) -> None:
    """Measure cases in bounded memory; send the number of each before, and its result after."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESSES, size + ADDRESSES))
    for number in numbers:
        pipe.send(number)
        pipe.send(measure(number))
    pipe.send(None)


def fuzz(work: Callable[..., None], arguments: tuple[Any, ...], numbers: range) -> Iterator[Result]:
    """Yield the result of each case. A process that dies or hangs is a fault, and another goes on after it.

    ``work`` is called in a process with the arguments, numbers of cases, and a pipe for :func:`work_through`.
    """
    while numbers:
        ours, theirs = multiprocessing.Pipe()
        worker = multiprocessing.get_context("spawn").Process(target=work, args=(*arguments, numbers, theirs))
        worker.start()
        theirs.close()
        number = numbers[0]
        try:
            while ours.poll(LIMIT + 60 * (number == numbers[0])):
                said = ours.recv()
                if said is None:
                    return
                if isinstance(said, Result):
                    yield said
                else:
                    number = said
            fault = f"it takes more than {LIMIT:g} seconds"
        except EOFError:
            worker.join()
            fault = f"the process died: exit code {worker.exitcode}"
        finally:
            worker.kill()
            worker.join()
        yield Result(number, "refused", fault)
        numbers = range(number + 1, numbers.stop)


@click.command(context_settings={"show_default": True})
@click.option("--count", type=click.IntRange(1), default=10_000, help="cases")
@click.option("--first", type=click.IntRange(0), default=0, help="number of the first case")
@click.option("--seed", type=click.IntRange(0), default=0, help="seed of all cases")
def main(count: int, first: int, seed: int) -> None:
    """Fuzz bundles, and print how many were refused, loaded and verified, and every fault."""
    with tempfile.TemporaryDirectory(prefix="ganlm-fuzz-") as name:
        bundles = make_bundles(Path(name) / "bundles", default_host())
        (scratch := Path(name) / "cases").mkdir()
        report(fuzz(_work, (bundles, scratch, seed), range(first, first + count)), ("refused", "loaded", "verified"))


def report(results: Iterable[Result], names: Sequence[str]) -> None:
    """Print every fault, the counts of the outcomes, and the extremes. Exit with 1 if there is a fault."""
    outcomes: Counter[str] = Counter()
    slowest = largest = Result(-1, "")
    for result in results:
        outcomes["fault" if result.fault else result.outcome] += 1
        slowest = max(slowest, result, key=lambda each: each.seconds)
        largest = max(largest, result, key=lambda each: each.memory)
        if result.fault:
            click.echo(f"case {result.number}: {result.fault}")
    click.echo(", ".join(f"{outcomes[name]:,} {name}" for name in (*names, "fault")))
    click.echo(f"slowest: {slowest.seconds:.1f} seconds (case {slowest.number})")
    click.echo(f"most memory: {largest.memory / 2**20:.0f} MiB (case {largest.number})")
    if outcomes["fault"]:
        raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(run_command(main))
