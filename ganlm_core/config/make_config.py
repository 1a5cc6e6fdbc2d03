"""``make_config``: a configuration from the arguments of a Python program, which are checked here."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganlm_core.config.options import TrainingOptions
from ganlm_core.config.run_config import CHOSEN, DEFAULTS, WARMUPS, RunConfig, data_layer, nest, resolve
from ganlm_core.errors import OptionError, UnknownName, UsageError
from ganlm_core.plugins.host import Host, default_host
from ganlm_core.system import arguments
from ganlm_core.system.arguments import instance
from ganlm_core.system.printable import shown


def make_config(
    generator: str | None = None,
    discriminator: str | None = None,
    data: str | os.PathLike[str] | None = None,
    recipe: str | None = None,
    host: Host | None = None,
    **settings: Any,
) -> RunConfig:
    """Make a configuration: ``make_config("lstm", "conv", steps=100, generator_options={"hidden_size": 64})``.

    ``data`` is the name of a corpus, or a file; ``corpus`` is the name of a corpus. ``settings`` are training options
    (below), names for the other sections (``algorithm``, ``loss``, ``penalty``, ``estimator``, ``corpus``,
    ``tokenizer``, ``generator_optimizer``, ``discriminator_optimizer``, and ``generator_warmup_optimizer`` and
    ``discriminator_warmup_optimizer`` for the steps before adversarial training), the options of any section as
    ``<section>_options``, and ``reward``, a dict of options by the name of each reward. Everything else comes from the
    recipe. Raises OptionError for a value of another type, UsageError for two texts, and the errors of :func:`resolve`.
    """
    host = instance("host", host or default_host(), Host, "a Host, such as Host.discover()")
    sections = {_keyword(section): section for section in (*DEFAULTS, *WARMUPS)}
    training = {each.name for each in TrainingOptions.fields()}
    known = {*training, *sections, *(f"{keyword}_options" for keyword in sections), "reward"}
    for key in settings:
        if key not in known:
            raise UnknownName("setting", key, known, hint="help(ganlm_core.make_config) shows them")
    settings = {"generator": generator, "discriminator": discriminator, **settings}
    for key in sections:
        if not isinstance(name := settings.get(key), str | None):
            raise OptionError(f"{key} is {shown(name)}; wanted a name")
        if (keyword := f"{key}_options") in settings:
            _check_dict(keyword, settings[keyword], "a dict of options by their names")
    for name, options in _check_dict("reward", settings.get("reward", {}), "a dict of rewards by their names").items():
        _check_dict(f"reward '{name}'", options, "a dict of options by their names")
    if "device" in settings:
        settings["device"] = arguments.device(settings["device"])
    layer: dict[str, Any] = {"recipe": recipe} if recipe else {}
    layer["training"] = {key: settings[key] for key in settings if key in training}
    layer["reward"] = settings.get("reward", {})
    tables = {
        section: ({settings[key]: {}} if settings.get(key) else {}) | {CHOSEN: settings.get(f"{key}_options", {})}
        for key, section in sections.items()
        if settings.get(key) or f"{key}_options" in settings  # a table without options chooses an optimiser too
    }
    return resolve(host, [_text_layer(host, data, settings), layer | nest(tables)])


make_config.__doc__ = f"{make_config.__doc__}\n    Training options and their defaults:\n\n" + "\n".join(
    f"    {each.name} = {each.default!r}: {each.help}" for each in TrainingOptions.fields()
)


def _check_dict(name: str, value: object, wanted: str) -> Mapping[str, Any]:
    """Return ``value`` if it is a dict with names for keys. Raises OptionError, which says what is ``wanted``."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise OptionError(f"{name} is {shown(value)}; wanted {wanted}")
    return value


def _text_layer(host: Host, data: object, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layer for the ``data`` of :func:`make_config`, whose file is found from any working folder.

    Raises UsageError if the settings name another text.
    """
    if data is None:
        return {}
    text = arguments.path("data", data, "the name of a corpus, or a file")
    if settings.get("corpus"):
        raise UsageError(f"data is {shown(text)} and corpus is {shown(settings['corpus'])}; give one of them")
    layer = data_layer(host, text)
    file = layer["corpus"].get("file", {})
    if "path" in file:
        if "path" in settings.get("corpus_options", {}):
            raise UsageError(
                f"data is {shown(text)} and the path in corpus_options is "
                f"{shown(settings['corpus_options']['path'])}; give one of them"
            )
        file["path"] = text if text == "-" else str(Path(text).absolute())
    return layer


def _keyword(section: str) -> str:
    """Return the keyword of :func:`make_config` for a section: ``generator_optimizer`` for ``optimizer.generator``."""
    return "_".join(reversed(section.split(".")))
