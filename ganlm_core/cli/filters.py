"""The filters of ``ganlm sample``: novel sentences, a pattern, and a reward."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganlm_core.cli.options import Decorated
from ganlm_core.cli.output import note
from ganlm_core.cli.types import POSITIVE_COUNT, Name, settings_of
from ganlm_core.components import number
from ganlm_core.errors import DataError, UsageError
from ganlm_core.plugins.host import Host

if TYPE_CHECKING:
    from collections.abc import Container

    from ganlm_core.algorithms.rewards import CheckedReward
    from ganlm_core.bundle.filters import Filter
    from ganlm_core.bundle.model import Model

OPTIONS = (
    click.option("--novel", is_flag=True, help="keep only sentences that are not in the training text"),
    click.option("--match", "pattern", metavar="REGEX", help="keep only sentences in which the pattern is found"),
    click.option("--reward", metavar="NAME", type=Name("reward"), help="reward of --reward-min; default: the run's"),
    click.option(
        "--reward-min", type=number(float), metavar="X", help="keep only sentences with a reward of X or more"
    ),
    click.option(
        "--set", "settings", multiple=True, metavar="OPTION=VALUE", help="set an option of --reward; can be repeated"
    ),
    click.option(
        "--tries",
        type=POSITIVE_COUNT,
        default=100_000,
        help="stop after this many sentences in a row of which none is kept",
    ),
)


def filter_options(command: Decorated) -> Decorated:
    """Add OPTIONS to a command, which gets them as ``wanted``, a :class:`Wanted`."""

    @wraps(command)
    def collecting(**given: Any) -> Any:
        return command(wanted=Wanted(**{each.name: given.pop(each.name) for each in fields(Wanted)}), **given)

    for option in reversed(OPTIONS):
        collecting = option(collecting)
    return collecting


@dataclass(frozen=True)
class Wanted:
    """The sentences that the user wants from a model; all of them by default."""

    novel: bool
    pattern: str | None
    reward: str | None
    reward_min: float | None
    settings: Sequence[str]
    tries: int

    def filters(
        self, source: str, model: "Model", host: Host, data: str | None, reading: Mapping[str, Any]
    ) -> "Iterator[Filter]":
        """Yield the filters of the sentences of ``model``, which is at the address ``source``, the cheap ones first.

        ``data`` and ``reading`` name the training text and how it is read. Raises UsageError, and DataError without
        the training text.
        """
        from ganlm_core.bundle.filters import Filter

        if self.pattern is not None:
            search = _compiled(self.pattern).search
            yield Filter("--match", lambda texts: [search(text) is not None for text in texts])
        if self.novel:
            known = _known(source, model, host, data, reading)
            yield Filter("--novel", lambda texts: [text not in known for text in texts])
        if self.reward is not None and self.reward_min is None:
            raise UsageError("--reward needs the least reward to keep; add --reward-min X")
        if self.reward_min is not None:
            least, reward = self.reward_min, self._reward(source, host)
            if least > 1 and not reward.reward.unbounded:
                raise UsageError(f"--reward-min is {least:g}, and reward '{reward.name}' is at most 1; lower it")
            yield Filter(f"--reward-min ({reward.name})", lambda texts: [value >= least for value in reward(texts)])

    def _reward(self, source: str, host: Host) -> "CheckedReward":
        """Build the reward with the options of the run, and the user's own over them."""
        from ganlm_core.algorithms.rewards import CheckedReward

        trained = _trained_rewards(source, host)
        name = self.reward or next(iter(trained), "")
        if not name or (self.reward is None and len(trained) > 1):
            told = f"the run has {', '.join(trained)}" if trained else "it was trained without one"
            raise UsageError(f"--reward-min needs to know the reward, and {told}; name it with --reward")
        spec, title = host.spec("reward", name), f"reward '{name}'"
        options = spec.options.of({**trained.get(name, {}), **settings_of(self.settings, "--set")}, title)
        return CheckedReward(name, host.full_name("reward", name), host.build("reward", name, options))


def _known(source: str, model: "Model", host: Host, data: str | None, reading: Mapping[str, Any]) -> "Container[str]":
    """Return the training text of a model, or its hashes, to look sentences up in."""
    from ganlm_core.bundle.manifest import HASHES
    from ganlm_core.cli.source import training_text
    from ganlm_core.data.hashes import Hashes
    from ganlm_core.data.mapped_lines import lookup

    folder = _bundle(source)
    if data is None and folder is not None and (folder / HASHES).exists():
        _check_hashes(folder)
        return Hashes(folder / HASHES)
    try:
        text = training_text(source, model, host, data or "", **reading)
        for line in text.notes if data else ():  # such as that it is not the text of the training
            note(line)
        return lookup(text.train)
    except DataError as error:
        raise DataError(
            f"{error}; or ask its author for a bundle with hashes of the text (ganlm weights export --share-hashes)"
        ) from None


def _compiled(pattern: str) -> "re.Pattern[str]":
    if not pattern:
        raise UsageError("--match '' is in every sentence; give a pattern, or leave it out")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--match {pattern!r} is no regular expression ({error}); correct it") from None


def _bundle(source: str) -> Path | None:
    """Return the folder of the bundle at ``source``; None for a run without a bundle."""
    from ganlm_core.bundle.locate import locate
    from ganlm_core.bundle.mean import first_of
    from ganlm_core.training.export import unfinished_run

    first = first_of(source)
    return locate(first) if unfinished_run(first) is None else None


def _check_hashes(folder: Path) -> None:
    from ganlm_core.bundle.manifest import HASHES
    from ganlm_core.system.sums import check_sum, read_sums

    check_sum(folder, HASHES, read_sums(folder))


def _trained_rewards(source: str, host: Host) -> Mapping[str, Mapping[str, Any]]:
    """Return the rewards of the run or bundle, by name, each with its options."""
    from ganlm_core.bundle.manifest import RECIPE
    from ganlm_core.evaluation.sources import run_at
    from ganlm_core.system.files import read_toml

    if (run := run_at(source)) is not None:
        rewards = run.load_config(host).rewards
        return {name: choice.options.as_dict() for name, choice in rewards.items()}
    folder = _bundle(source)
    found = read_toml(folder / RECIPE).get("reward", {}) if folder is not None else {}
    tables = found.items() if isinstance(found, Mapping) else ()
    return {name: table for name, table in tables if isinstance(table, Mapping)}
