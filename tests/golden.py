"""The losses of three steps of every recipe, through the command line: what ``tests/golden.json`` holds.

    python -m tests.golden

writes that file anew. Do so after a change that is meant to change the numbers, and say in the commit why they did.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ganlm_core.config.run_config import PREFIXES, resolve
from ganlm_core.plugins.host import default_host
from ganlm_core.training.run_folder import RunFolder
from tests.conftest import TINY

FILE = Path(__file__).with_suffix(".json")
RUN = ["--corpus.size", "100", "--steps", "3", "--batch-size", "6", "--log-every", "1",
       "--evaluation-samples", "4", "--seed", "0", "--device", "cpu", "--precision", "float32"]  # fmt: skip
WARM = {"warmup": 0.34, "discriminator_warmup": 0.34}
"""One step of maximum likelihood, one of the discriminator, one round: where a recipe has both warm-ups."""

Losses = list[dict[str, float]]


def arguments(recipe: str) -> list[str]:
    """The command line of three steps of a recipe, its networks small and its warm-ups a step each."""
    config = resolve(default_host(), [{"recipe": recipe}])
    flags = list(RUN)
    for section in ("generator", "discriminator", "algorithm"):
        options = getattr(config, section).options.as_dict()
        wanted = {key: value for key, value in WARM.items() if options.get(key)} if section == "algorithm" else TINY
        for key in wanted.keys() & options.keys():
            flags += [f"--{PREFIXES[section]}.{key.replace('_', '-')}", str(wanted[key])]
    return ["run", "--recipe", recipe, *flags]


def losses(recipe: str, folder: Path, main: Callable[[list[str]], int]) -> Losses:
    """Every loss of each of the three steps; ``main`` is the command line."""
    assert main([*arguments(recipe), "--out", str(folder)]) == 0
    records = RunFolder(folder).metrics.steps()
    return [{key: value for key, value in record.items() if key.endswith("_loss")} for record in records]


def write() -> None:
    from ganlm_core.cli import main

    with tempfile.TemporaryDirectory() as folder:
        found = {name: losses(name, Path(folder) / name, main) for name in default_host().recipes()}
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(write())
