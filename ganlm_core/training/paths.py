"""Paths in the configuration of a run: of its data, and of the bundles that rewards read. Nothing imports torch."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ganlm_core.algorithms.options import ClassifierOptions
from ganlm_core.config.run_config import Choice, RunConfig
from ganlm_core.data.options import FileOptions, OracleOptions
from ganlm_core.errors import DataError
from ganlm_core.system.files import is_utf8

_PATHS: Mapping[type, str] = {FileOptions: "path", OracleOptions: "weights"}
"""The option that is the path of a file, by the options of a corpus."""


def with_data_at(config: RunConfig, change: Callable[[str], str]) -> RunConfig:
    """Return the configuration with ``change`` applied to the path of its data, if they are in a file."""
    options = config.corpus.options
    field = _PATHS.get(type(options), "")
    path = getattr(options, field, "")
    if not path:
        return config
    changed = replace(options, **{field: change(path)})  # type: ignore[type-var]
    return replace(config, corpus=replace(config.corpus, options=changed))


def with_data_of(config: RunConfig, other: RunConfig) -> RunConfig:
    """Return the configuration with its data at the place where ``other`` has them."""
    options = other.corpus.options
    path = getattr(options, _PATHS.get(type(options), ""), "")
    return with_data_at(config, lambda old: path or old)


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Return the configuration as it holds in any working directory. Bundles by name, zoo: and hf:, stay."""
    config = with_data_at(config, _absolute)
    return replace(config, rewards={name: _with_absolute_bundle(choice) for name, choice in config.rewards.items()})


def _with_absolute_bundle(choice: Choice) -> Choice:
    options = choice.options
    if not isinstance(options, ClassifierOptions) or not Path(options.path).is_dir():
        return choice
    return replace(choice, options=replace(options, path=_absolute(options.path)))


def _absolute(path: str) -> str:
    found = Path(path).resolve()
    if not is_utf8(found):
        raise DataError(f"the path {found} is not UTF-8, which a configuration is; rename the file or folder")
    return str(found)


def is_read_once(path: str) -> bool:
    """Whether a path of data can be read only once: standard input, a FIFO, a pipe that the shell opened."""
    place = Path(path).absolute()
    return path == "-" or place.parts[1:2] in (("dev",), ("proc",)) or (place.exists() and not place.is_file())
