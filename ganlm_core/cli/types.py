"""Types of the command line's values: checked numbers, comma-separated lists, and names that the shell completes."""

import os
from collections.abc import Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from ganlm_core.cli.context import Invocation
from ganlm_core.components import number
from ganlm_core.errors import UsageError
from ganlm_core.plugins.host import Host

SEED = number(int, min=0, max=2**63 - 1)
COUNT = number(int, min=0)
SENTENCES = number(int, min=0, max=10_000_000)
"""A number of sentences that are held in memory."""

POSITIVE_COUNT = number(int, min=1)
TEMPERATURE = number(float, min=0, open=True)
SHARE = number(float, min=0, max=1, open=True)


class Separated(click.ParamType):
    """Values of one type with commas between them, as a tuple without repeats."""

    name = "list"

    def __init__(self, item: click.ParamType = click.STRING) -> None:
        self.item = item

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        words = (word.strip() for word in value.split(","))
        found = tuple(dict.fromkeys(self.item.convert(word, param, ctx) for word in words if word))
        return found or self.fail(f"{value!r} is empty; give one or more, comma-separated", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        items = self.item.shell_complete(ctx, param, last)
        return [CompletionItem(f"{before}{comma}{item.value}", help=item.help) for item in items]


class Places(click.ParamType):
    """A measure and some of its values, ``MEASURE=1,2``: its name and the values."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        measure, equals, numbers = value.partition("=")
        if not (measure and equals):
            self.fail(
                f"{value!r} names no measure and value; write MEASURE=NUMBER, such as process_nll_token=8", param, ctx
            )
        return measure, Separated(number(float)).convert(numbers, param, ctx)


PLACES = Places()


def settings_of(words: Iterable[str], flag: str) -> dict[str, str]:
    """Return the values of options by name from words ``OPTION=VALUE``. Raises UsageError, which names their flag."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise UsageError(f"{flag} has {word!r}; write each option as OPTION=VALUE")
        found[name.replace("-", "_")] = value
    return found


class Word(click.ParamType):
    """One of a few words, which the shell completes; the command itself checks it."""

    name = "text"

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class Name(click.ParamType):
    """The name of one of ``kinds``; commands check it, and the shell completes it. ``files``: or a path.

    An empty word, such as the value of a variable that is not set, is refused; it does not mean the default.
    """

    name = "text"

    def __init__(self, *kinds: str, files: bool = False) -> None:
        self.kinds, self.files = kinds, files

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value.startswith("--"):
            self.fail(f"'{value}' is an option; give a value before it", param, ctx)
        return value or self.fail("it is empty; give a name, or leave the option out", param, ctx)

    def fits(self, word: str, host: Host) -> bool:
        """Return whether a word is a name of these kinds, or a file that can stand for one."""
        named = any(word in names_of(host, kind) for kind in self.kinds)
        return named or (self.files and os.path.isfile(word))  # noqa: PTH113 (it takes a path that is too long)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        host = ctx.ensure_object(Invocation).host
        known = dict.fromkeys(name for kind in self.kinds for name in names_of(host, kind))
        found = [CompletionItem(name) for name in known if name.startswith(incomplete)]
        return found or ([CompletionItem(incomplete, type="file")] if self.files else [])


def names_of(host: Host, kind: str) -> Iterable[str]:
    """Return the names of a kind of component, of ``recipe``, ``plugin``, ``weights`` or ``tokenizer``."""
    match kind:
        case "recipe":
            return host.recipes()
        case "plugin":
            return [health.name for health in host.health]
        case "weights":
            from ganlm_core.bundle import zoo

            return zoo.addresses()
        case _:
            from ganlm_core.config.run_config import catalog  # which 'ganlm plugins' does without

            return catalog(host, kind)


SOURCE = Name("weights", files=True)
"""A bundle, a run or an address such as zoo:NAME."""
