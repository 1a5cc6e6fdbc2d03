"""The configuration of a run: a frozen record, its TOML form, and the layers that it is resolved from.

In TOML, each section has one table that names the choice and holds its options::

    recipe = "autoregressive"

    [generator.lstm]
    hidden_size = 256

    [optimizer.generator.adam]
    lr = 0.001

    [reward.regex]
    pattern = "^the"

    [training]
    steps = 2000

A run that starts from trained weights also has a table ``[start]`` (:class:`ganlm_core.config.options.StartOptions`).
Each table ``[reward.NAME]`` adds a reward.

A layer is such a mapping; anything may be left out. Later layers win. A layer that chooses another name in a section
drops the options that earlier layers set for the old name. From Python, the name ``*`` sets options of the
chosen name. A recipe is a layer in its own file, with an optional ``[about]`` table
(:mod:`ganlm_core.config.recipes`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlm_core.components import Options
from ganlm_core.config.options import OPTIMIZERS, StartOptions, TrainingOptions
from ganlm_core.config.small_text import small_text
from ganlm_core.data.options import TOKENIZERS
from ganlm_core.errors import OptionError, UnknownName, Unreadable, UsageError, WeightsError
from ganlm_core.plugins.host import Host
from ganlm_core.system import toml
from ganlm_core.system.files import read_toml
from ganlm_core.system.printable import shown

if TYPE_CHECKING:
    from ganlm_core.data.corpus import Corpus

KIND_SECTIONS = ("generator", "discriminator", "algorithm", "loss", "penalty", "estimator", "corpus")
"""The sections that choose a component. The others are ``tokenizer``, an ``optimizer.NETWORK`` for each network, and a
``reward.NAME`` for each reward.
"""

PREFIXES = {
    "generator": "gen",
    "discriminator": "disc",
    **{section: section for section in (*KIND_SECTIONS[2:], "tokenizer")},
    "optimizer.generator": "gen-optimizer",
    "optimizer.discriminator": "disc-optimizer",
}
"""The flag of each section on the command line: ``--gen lstm --gen.hidden-size 256``. See :func:`prefix_of`."""

DEFAULTS = {
    "generator": "lstm",
    "discriminator": "conv",
    "algorithm": "adversarial",
    "loss": "non-saturating",
    "penalty": "none",
    "estimator": "reinforce",
    "corpus": "grammar",
    "tokenizer": "word",
    "optimizer.generator": "adam",
    "optimizer.discriminator": "adam",
}
DEFAULT_RECIPE = "autoregressive"
CHOSEN = "*"
_OTHERS = ("training", "start", "recipe", "about")
"""The keys of a layer that choose nothing."""

OPTIMIZER = "optimizer."
"""The beginning of the section of a network's optimiser."""

WARMUP = "_warmup"
"""Follows the name of a network in the name of its optimiser for the steps before adversarial training."""

WARMUPS = tuple(section + WARMUP for section in DEFAULTS if section.startswith(OPTIMIZER))
"""The sections of these optimisers, if a recipe or a file has them."""

REWARD = "reward."
"""The beginning of the section of a reward, which has the same name on the command line: ``--reward.regex.pattern``."""

Layer = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """A chosen component, tokenizer or optimiser, with its options."""

    name: str
    options: Options


@dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run.

    ``optimizers`` maps network names to choices, and ``rewards`` names of rewards. ``recipe`` is the name of the recipe
    that it was resolved from.
    """

    generator: Choice
    discriminator: Choice
    algorithm: Choice
    loss: Choice
    penalty: Choice
    estimator: Choice
    corpus: Choice
    tokenizer: Choice
    optimizers: Mapping[str, Choice]
    rewards: Mapping[str, Choice]
    training: TrainingOptions
    recipe: str
    start: StartOptions = field(default_factory=StartOptions)

    def choices(self) -> dict[str, Choice]:
        """Return all choices by section, in the order of the file.

        ``generator``, ..., ``optimizer.generator``, ..., ``reward.regex``, ...
        """
        chosen = {section: getattr(self, section) for section in (*KIND_SECTIONS, "tokenizer")}
        chosen |= {OPTIMIZER + network: choice for network, choice in self.optimizers.items()}
        return chosen | {REWARD + name: choice for name, choice in self.rewards.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the fully resolved TOML form as plain dictionaries, with ``start`` if there is one."""
        tables: dict[str, Any] = {"recipe": self.recipe}
        if self.start != StartOptions():
            tables["start"] = self.start.as_dict()
        for section, choice in self.choices().items():
            above, _, last = section.partition(".")
            table = tables.setdefault(above, {}) if last else tables
            options = choice.options.as_dict()
            table[last or above] = options if section.startswith(REWARD) else {choice.name: options}
        return tables | {"training": self.training.as_dict()}

    def to_toml(self) -> str:
        """Return the fully resolved configuration as TOML text.

        ``--config`` takes it as it is. The same configuration gives the same text.
        """
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_toml(cls, host: Host, text: str) -> "RunConfig":
        """Read the text that :meth:`to_toml` wrote, without its recipe. Raises UsageError, as :func:`resolve` does."""
        return _build(host, [parse_toml(text, "the configuration")])


def resolve(host: Host, layers: Sequence[Layer]) -> RunConfig:
    """Resolve ``layers`` over their recipe, and the recipe over the defaults. Small text has defaults of its own.

    The recipe is the last recipe that a layer names, else the default recipe of the chosen generator. Raises
    UnknownName for a section, name or option that does not exist, OptionError for a wrong value, and PluginError.
    """
    recipe = _recipe_of(host, layers)
    under = [{"recipe": recipe}, read_recipe(host, recipe)]
    config = _build(host, [*under, *layers])
    return _build(host, [*under, fitting, *layers]) if (fitting := small_text(config)) else config


def override(host: Host, config: RunConfig, layers: Sequence[Layer]) -> RunConfig:
    """Return ``config`` with ``layers`` applied over it."""
    return _build(host, [config.to_dict(), *layers])


def difference(old: RunConfig, new: RunConfig) -> list[str]:
    """Return a line for each difference: ``generator.lstm.hidden_size: 128 -> 256`` or ``generator: lstm -> conv``."""
    names = [{"recipe": config.recipe, **_names(config)} for config in (old, new)]
    options = [settings_of(config) for config in (old, new)]
    changed = {key: tuple(each.get(key, "nothing") for each in names) for key in names[0] | names[1]}
    changed |= {key: (options[0][key], options[1][key]) for key in options[0] if key in options[1]}
    return [f"{key}: {before} -> {after}" for key, (before, after) in changed.items() if before != after]


def data_layer(host: Host, data: str) -> dict[str, Any]:
    """Return the layer for ``data``: the name of a corpus, a file, or ``-`` for standard input.

    Raises UnknownName for a word that is neither a corpus nor a file, and UsageError for one that is both.
    """
    corpora = host.specs("corpus")
    if data in corpora:
        if Path(data).is_file():
            raise UsageError(f"'{data}' is a corpus and a file here; --data ./{data} reads the file, or rename it")
        return {"corpus": {data: {}}}
    if data != "-" and not Path(data).exists() and Path(data).name == data and "." not in data:
        hint = f"the corpora are {', '.join(corpora)}, and there is no such file"
        raise UnknownName("corpus", data, corpora, hint=hint)
    return {"corpus": {"file": {"path": data}}}


def corpus_from(host: Host, data: str, **reading: Any) -> "Corpus":
    """Build the corpus ``data``, by name or file, as :func:`data_layer` tells them apart.

    ``reading`` are options of reading a file; a corpus by name takes the ``label`` among them, if it has that option.
    """
    ((name, given),) = data_layer(host, data)["corpus"].items()
    options = options_of(host, "corpus", name)
    if name != "file":
        reading = {"label": reading["label"]} if reading.get("label") and "label" in _fields(options) else {}
    corpus: Corpus = host.build("corpus", name, options.of({**given, **reading}, f"corpus '{name}'"))
    return corpus


def nest(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return one layer from tables by section, such as ``generator`` or ``optimizer.generator``."""
    layer: dict[str, Any] = {}
    for section, table in tables.items():
        above, _, network = section.partition(".")
        if section.startswith(REWARD):
            layer.setdefault("reward", {}).update(table)
        elif network:
            layer.setdefault(above, {})[network] = table
        else:
            layer[section] = table
    return layer


def read_layer(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises UsageError when it is missing, unreadable, too large or not TOML."""
    try:
        return read_toml(path)
    except WeightsError as error:
        fact = error.fact if isinstance(error, Unreadable) else error
        raise UsageError(f"{fact}; give a TOML file") from None


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Return the layer that ``text`` holds. Raises UsageError, which names the text, when it is not TOML."""
    try:
        return toml.parse(text)
    except ValueError as error:
        raise UsageError(f"{name} is not valid TOML ({error})") from None


def read_recipe(host: Host, name: str) -> dict[str, Any]:
    """Read the layer of a recipe. Raises UnknownName, or UsageError when the file is not TOML."""
    recipes = host.recipes()
    if name not in recipes:
        raise UnknownName("recipe", name, recipes, hint="'ganlm recipes list' shows them; --config takes a file")
    return {key: value for key, value in read_layer(recipes[name]).items() if key != "recipe"}


def catalog(host: Host, section: str) -> Mapping[str, type[Options]]:
    """Return the names that a section (or a kind) offers, each with its options class."""
    if section == "tokenizer":
        return TOKENIZERS
    if section.partition(".")[0] == "optimizer":
        return OPTIMIZERS
    return {name: spec.options for name, spec in host.specs(section.partition(".")[0]).items()}


def options_of(host: Host, section: str, name: str) -> type[Options]:
    """Return the options class of a choice. Raises UnknownName or PluginError."""
    kind = section.partition(".")[0]
    if kind in (*KIND_SECTIONS, "reward"):
        return host.spec(kind, name).options
    known = catalog(host, section)
    if name not in known:
        raise UnknownName(kind, name, known, hint=f"'ganlm list {kind}' shows them")
    return known[name]


def sections(layer: Layer) -> Iterator[tuple[str, Mapping[str, Mapping[str, Any]]]]:
    """Yield each section of a layer with its tables. Raises UnknownName for a key that is no section."""
    known = (*KIND_SECTIONS, "tokenizer", "optimizer", "reward", *_OTHERS)
    for key, value in layer.items():
        if key not in known:
            raise UnknownName("configuration section", key, known, hint=f"the sections are {', '.join(known)}")
        if key == "optimizer":
            for network, table in _table(key, value).items():
                yield f"{key}.{network}", _tables(f"{key}.{network}", table)
        elif key == "reward":
            yield from ((REWARD + name, {name: table}) for name, table in _tables(key, value).items())
        elif key not in _OTHERS:
            yield key, _tables(key, value)


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Return every option by its place in the file: ``training.steps``, ``generator.lstm.hidden_size``, ..."""
    tables = {
        section if section.startswith(REWARD) else f"{section}.{choice.name}": choice.options
        for section, choice in config.choices().items()
    }
    tables |= {"training": config.training, "start": config.start}
    return {f"{table}.{key}": value for table, options in tables.items() for key, value in options.as_dict().items()}


def prefix_of(section: str) -> str:
    """Return the prefix of a section's flags; empty for ``training``.

    A reward and an optimiser without a short prefix have their place in the file:
    ``--optimizer.generator_warmup.lr``.
    """
    return PREFIXES.get(section, section if "." in section else "")


def check_option(host: Host, section: str, name: str, key: str, said: str) -> None:
    """Raise UsageError unless the choice ``name`` has the option ``key``, which the user wrote as ``said``.

    If another choice of the section has the option, the message says which one and how to choose it.
    """
    field, title = key.replace("-", "_"), title_of(section)
    if field in _fields(options_of(host, section, name)):
        return
    owners = [other for other, options in catalog(host, section).items() if field in _fields(options)]
    if owners and section in PREFIXES:
        raise UsageError(
            f"{said} is not an option of {title} '{name}'; it belongs to {' and '.join(map(repr, owners))}: "
            f"choose it with {_selector(section)} {owners[0]}"
        )
    options_of(host, section, name).field(key, f"{title} '{name}'")


def _build(host: Host, layers: Sequence[Layer]) -> RunConfig:
    """Merge the layers over the defaults, the last layer on top, and check every name and value."""
    chosen: dict[str, tuple[str, dict[str, Any]]] = {section: (name, {}) for section, name in DEFAULTS.items()}
    training: dict[str, Any] = {}
    start: dict[str, Any] = {}
    for layer in layers:
        training |= _table("training", layer.get("training", {}))
        start |= _table("start", layer.get("start", {}))
        for section, table in sections(layer):
            old, options = chosen.get(section, ("adam", {}))
            new = name_in(section, table) or old
            kept = options if new == old else {}
            chosen[section] = new, {**kept, **table.get(new, {}), **table.get(CHOSEN, {})}
    choices = {section: _choice(host, section, *pair) for section, pair in chosen.items()}
    optimizers, rewards = (
        {key.removeprefix(above): choices.pop(key) for key in list(choices) if key.startswith(above)}
        for above in (OPTIMIZER, REWARD)
    )
    return RunConfig(
        **choices,
        optimizers=optimizers,
        rewards=rewards,
        training=TrainingOptions.of(training, "training"),
        recipe=_named_recipe(layers) or DEFAULT_RECIPE,
        start=StartOptions.of(start, "start"),
    )


def _choice(host: Host, section: str, name: str, values: Mapping[str, Any]) -> Choice:
    for key in values:
        check_option(host, section, name, key, said=key)
    return Choice(name, options_of(host, section, name).of(values, f"{title_of(section)} '{name}'"))


def _recipe_of(host: Host, layers: Sequence[Layer]) -> str:
    if named := _named_recipe(layers):
        return named
    generators = [
        name_in(section, table) for layer in layers for section, table in sections(layer) if section == "generator"
    ]
    name = next((name for name in reversed(generators) if name), DEFAULTS["generator"])
    return host.spec("generator", name).recipe or DEFAULT_RECIPE


def _named_recipe(layers: Sequence[Layer]) -> str:
    """Return the last recipe that a layer names; empty for none. Raises OptionError for a value that is no name."""
    name = next((layer["recipe"] for layer in reversed(layers) if "recipe" in layer), None)
    if name is None:
        return ""
    if not isinstance(name, str) or not name:
        raise OptionError(f"recipe is {shown(name)}; wanted the name of a recipe in quotes")
    return name


def name_in(section: str, table: Mapping[str, Any]) -> str | None:
    """Return the name that a table chooses, or None. Raises UsageError for several names, and for an empty one."""
    names = [name for name in table if name != CHOSEN]
    if "" in names:
        kind = section.partition(".")[0]
        raise UsageError(f"[{section}.\"\"] has an empty name; 'ganlm list {kind}' shows the names")
    if len(names) > 1:
        raise UsageError(f"[{section}] chooses {' and '.join(map(repr, names))}; keep one of them")
    return names[0] if names else None


def _tables(key: str, value: Any) -> Mapping[str, Mapping[str, Any]]:
    return {name: _table(f"{key}.{name}", options) for name, options in _table(key, value).items()}


def _table(key: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise OptionError(
        f"{key} is {shown(value)}; wanted a table, such as [generator.lstm], [optimizer.generator.adam] or [training]"
    )


def _names(config: RunConfig) -> dict[str, str]:
    return {section: choice.name for section, choice in config.choices().items()}


def _fields(options: type[Options]) -> set[str]:
    return {option.name for option in options.fields()}


def _selector(section: str) -> str:
    return "--data" if section == "corpus" else f"--{PREFIXES[section]}"


def title_of(section: str) -> str:
    """Return a section in words: ``generator optimizer`` for ``optimizer.generator``."""
    return "reward" if section.startswith(REWARD) else " ".join(reversed(section.split(".")))
