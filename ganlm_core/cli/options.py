"""Options and arguments that several commands have, each with one name, one type and one text."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ganlm_core.cli.types import SEED, SOURCE, Name
from ganlm_core.components import Option
from ganlm_core.data.options import FileOptions
from ganlm_core.errors import UsageError
from ganlm_core.evaluation.tables import FORMATS

ADDRESSES = (
    "BUNDLE is a folder, zoo:NAME for a model that 'ganlm list weights' shows, hf:OWNER/NAME@REVISION on the Hugging "
    "Face Hub, or mean:A,B,C for the mean of several bundles."
)
"""A sentence of the help of commands that take a bundle."""


class _Place(click.Path):
    """A path. An empty one is refused: it is the current folder, which an unset variable must not choose."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty; give a file or a folder", param, ctx)
        return super().convert(value, param, ctx)


TEXT_FILE = _Place(allow_dash=True)
"""Sentences to read; - is standard input."""
FILE = _Place(dir_okay=False, path_type=Path)
FOLDER = _Place(file_okay=False, path_type=Path)
PATH = _Place(path_type=Path)

bundle_argument = click.argument("bundle", metavar="BUNDLE|RUN", type=SOURCE)
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")
json_lines_option = click.option("--json", "as_json", is_flag=True, help="print one JSON object per line")
force_option = click.option("--force", is_flag=True, help="replace the output if it exists")
seed_option = click.option("--seed", type=SEED, default=0, show_default=True, help="random seed of the samples")
device_option = click.option(
    "--device", default="cpu", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:N or mps"
)
calibration_option = click.option(
    "--data",
    metavar="FILE|CORPUS",
    type=Name("corpus", files=True),
    help="recalibrate the discriminator on the validation and test splits of this text",
)


Decorated = Callable[..., Any]

SUFFIXES = {".csv": "csv", ".tex": "latex", ".md": "markdown", ".json": "json"}
"""The form of a table in a file, by the end of its name."""


def form_options(command: Decorated) -> Decorated:
    """Add ``--format`` and ``--json``, its short form, to a command, which gets ``form``."""

    def as_json(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.params["form"] = "json"

    def form(context: click.Context, _: click.Parameter, value: str) -> None:
        context.params.setdefault("form", value)

    formats = click.Choice(FORMATS)
    shared: dict[str, Any] = {"expose_value": False, "is_eager": False}
    command = click.option("--json", is_flag=True, callback=as_json, help="short for --format json", **shared)(command)
    return click.option("--format", type=formats, default="table", callback=form, help="form of the table", **shared)(
        command
    )


table_out_option = click.option(
    "--out", "table_out", type=FILE, metavar="FILE", help="also write the table: .csv, .tex, .md, .json, or --format"
)


def form_of_file(path: Path, form: str) -> str:
    """Return the form of a table in a file, from ``--format`` or the ending of its name. Raises UsageError."""
    if form != "table":
        return form
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path} does not tell its form; end it in {', '.join(SUFFIXES)}, or add --format")
    return SUFFIXES[path.suffix]


def corpus_options(command: Decorated) -> Decorated:
    """Add the options of reading a text file, ``--corpus.column`` among them, to a command.

    The command gets them as the mapping ``corpus``, by the names of :class:`ganlm_core.data.options.FileOptions`.
    """
    for option in reversed(FileOptions.fields()):
        if option.name != "path":
            command = _corpus_option(option)(command)
    return command


def _corpus_option(option: Option) -> Callable[[Decorated], Decorated]:
    def collect(context: click.Context, _: click.Parameter, value: Any) -> None:
        context.params.setdefault("corpus", {})[option.name] = value

    return click.option(
        f"--corpus.{option.flag}",
        f"corpus_{option.name}",
        type=option.click_type,
        default=option.default,
        metavar=option.type.__name__.upper(),
        show_default=True,
        expose_value=False,
        callback=collect,
        help=option.help,
    )


CORPUS_OPTIONS = tuple(f"corpus_{option.name}" for option in FileOptions.fields() if option.name != "path")
"""The names of the parameters that :func:`corpus_options` adds."""


def refuse_idle(**needs: Collection[str]) -> None:
    """Raise UsageError for an option on the command line that has no effect, because it needs one of others.

    ``needs``: for the name of a parameter, the names of the parameters of which it needs one.
    """
    flags = _given_flags()
    for name, others in needs.items():
        if name in flags and not flags.keys() & set(others):
            wanted = " or ".join(_flags()[other] for other in others)
            raise UsageError(f"{flags[name]} has no effect without {wanted}; add it, or leave {flags[name]} out")


def refuse_beside(name: str, allowed: Collection[str] = ()) -> None:
    """Raise UsageError for options on the command line that have no effect beside the option ``name``."""
    flags = _given_flags()
    if idle := [flag for other, flag in flags.items() if other not in (name, *allowed)]:
        raise UsageError(f"{', '.join(idle)} has no effect beside {flags[name]}; leave it out")


def _flags() -> dict[str, str]:
    """Return the first flag of each parameter of the running command, by name; for arguments, their name.

    The options of every command, such as ``--quiet``, are eager and left out.
    """
    parameters = click.get_current_context().command.params
    return {each.name: each.opts[0] for each in parameters if each.name and not each.is_eager}


def _given_flags() -> dict[str, str]:
    source = click.get_current_context().get_parameter_source
    return {name: flag for name, flag in _flags().items() if source(name) is ParameterSource.COMMANDLINE}
