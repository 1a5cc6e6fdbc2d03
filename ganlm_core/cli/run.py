"""``ganlm run``: one training. The chosen components define its options, so the command line is parsed twice.

The first pass takes only the options that choose (``--gen``, ``--recipe``, ``--config``, ...) and resolves a
configuration. The second pass knows the options of all chosen components, with their values in that configuration as
defaults; options from flags and from the environment override it.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ganlm_core.bundle.start import START, expand, resolve
from ganlm_core.cli.context import Invocation, current_host
from ganlm_core.cli.options import FOLDER, PATH, json_option
from ganlm_core.cli.output import echo_data, echo_json, note
from ganlm_core.cli.types import SOURCE, Name
from ganlm_core.components import Option, Options
from ganlm_core.config.run_config import (
    CHOSEN,
    OPTIMIZER,
    PREFIXES,
    REWARD,
    WARMUP,
    Layer,
    RunConfig,
    check_option,
    data_layer,
    nest,
    override,
    prefix_of,
    read_layer,
    title_of,
)
from ganlm_core.errors import GanlmError, UnknownName, UsageError, did_you_mean
from ganlm_core.plugins.host import Host


def _identifier(flag: str) -> str:
    return "option_" + re.sub(r"\W", "_", flag.removeprefix("--"))


def _variable(flag: str) -> str:
    """Return the environment variable of a flag: ``--gen.hidden-size`` is ``GANLM_GEN_HIDDEN_SIZE``."""
    return "GANLM_" + re.sub(r"\W", "_", flag.removeprefix("--")).upper()


class SectionOption(click.Option):
    """The flag for one option of one section of the configuration."""

    def __init__(self, section: str, title: str, option: Option, value: Any) -> None:
        prefix = f"{prefix_of(section)}." if prefix_of(section) else ""
        flag = f"--{prefix}{option.flag}"
        both = f"{flag}/--{prefix}no-{option.flag}" if option.type is bool else flag
        super().__init__(
            [both, _identifier(flag)],
            type=option.click_type,
            default=value,
            show_default=True,
            help=option.help,
            envvar=_variable(flag),
            metavar=None if option.choices or option.type is bool else option.type.__name__.upper(),
        )
        self.section, self.title, self.option = section, title, option


class RunCommand(click.Command):
    """A command with the options of the components that its own command line chooses."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        help_flag = click.Option(ctx.help_option_names, is_flag=True)  # if unknown, click would look for similar names
        first = click.Command("run", params=[*self.params, help_flag], add_help_option=False)
        first.context_settings = {"ignore_unknown_options": True, "allow_extra_args": True}
        completing = ctx.resilient_parsing
        context = first.make_context(ctx.info_name, list(args), parent=ctx.parent, resilient_parsing=completing)
        chosen = _chosen(context)
        host = ctx.ensure_object(Invocation).host
        config = configure(host, chosen) if not completing else _configure_roughly(host, chosen)
        ctx.meta["ganlm.options"] = options = list(_section_options(config))
        if chosen["resume"]:
            for option in options:
                option.envvar = None  # the environment is for new runs
        ctx.default_map = {_parameter(section): config.choices()[section].name for section in SELECTORS}
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            _explain(host, config, error.option_name)
            raise

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *ctx.meta.get("ganlm.options", [])]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "title", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _parameter(section: str) -> str:
    """Return the name of the parameter that chooses in a section. :func:`_identifier` is for the other options."""
    return section.replace(".", "_")


def _selector(flag: str, section: str, help: str) -> click.Option:
    return click.Option(
        [flag, _parameter(section)],
        type=Name(section),
        metavar="NAME",
        envvar=_variable(flag),
        help=help,
        show_default=True,
    )


SELECTORS = {
    "generator": "generator network",
    "discriminator": "discriminator network",
    "algorithm": "training method",
    "loss": "adversarial loss",
    "penalty": "regulariser of the discriminator",
    "estimator": "gradient estimator for the sampling of tokens",
    "tokenizer": "tokenizer: word, char, bpe or smiles",
    "optimizer.generator": "optimiser of the generator",
    "optimizer.discriminator": "optimiser of the discriminator",
}


@click.command(
    "run",
    cls=RunCommand,
    params=[_selector(f"--{PREFIXES[section]}", section, help) for section, help in SELECTORS.items()],
    epilog="'ganlm list' shows all names. Every option can be set by an environment variable, such as GANLM_STEPS, "
    "GANLM_GEN or GANLM_GEN_HIDDEN_SIZE. Precedence: flag, environment, --config, recipe.",
)
@click.option(
    "--data",
    type=Name("corpus", files=True),
    envvar="GANLM_DATA",
    metavar="FILE|CORPUS",
    help="training text: a text, CSV, TSV, JSON or JSONL file, - for standard input, or a built-in corpus",
)
@click.option(
    "--recipe",
    type=Name("recipe"),
    envvar="GANLM_RECIPE",
    metavar="NAME",
    show_default="the generator's: one-shot if it writes all positions at once, else autoregressive",
    help="recipe to start from; all other options override it",
)
@click.option(
    "--config", envvar="GANLM_CONFIG", type=PATH, metavar="FILE", help="TOML file whose settings override the recipe"
)
@click.option(
    "--reward",
    "rewards",
    multiple=True,
    type=Name("reward"),
    envvar="GANLM_REWARD",
    metavar="NAME",
    help="reward of texts, mixed with the discriminator's by --reward-weight; can be repeated",
)
@click.option(
    "--from",
    type=SOURCE,
    envvar="GANLM_FROM",
    metavar="BUNDLE|RUN",
    help="train the networks of a bundle further; their options and the tokenizer come from it",
)
@click.option(
    "--from-gen", type=SOURCE, envvar="GANLM_FROM_GEN", metavar="BUNDLE|RUN", help="only the generator of a bundle"
)
@click.option(
    "--from-disc",
    type=SOURCE,
    envvar="GANLM_FROM_DISC",
    metavar="BUNDLE|RUN",
    help="only the discriminator of a bundle",
)
@click.option(
    "--grow-vocabulary/--no-grow-vocabulary",
    default=None,
    envvar="GANLM_GROW_VOCABULARY",
    help="with --from: add the words of the text that the bundle does not know",
)
@click.option("--out", envvar="GANLM_OUT", type=FOLDER, metavar="FOLDER", help="new or empty folder for the run")
@click.option("--resume", type=FOLDER, metavar="RUN", help="resume an interrupted run, or extend a run with --steps")
@click.option("--dry-run", is_flag=True, help="show the configuration, the sizes and the folder, without training")
@click.option("--watch", is_flag=True, help="open a page on this machine that shows the run while it trains")
@click.option("--print-config", is_flag=True, help="print the resolved configuration as TOML, without training")
@json_option
@click.pass_context
def run(
    context: click.Context,
    out: Path | None,
    resume: Path | None,
    dry_run: bool,
    watch: bool,
    print_config: bool,
    as_json: bool,
    **_: Any,
) -> None:
    """Train a generator against a discriminator.

    The options below belong to the chosen components. To see those of the transformer, for example, add
    --gen transformer before --help.
    """
    host = current_host()
    config = configure(host, _chosen(context), _given(context))
    if resume is None:
        _note_misspelt_variables(context)
    else:
        _refuse_another_place(context, resume)
    if print_config:
        echo_json(config.to_dict()) if as_json else echo_data(config.to_toml())
        return
    if resume is None:
        _note_other_optimizers(context, config)
    # Torch is imported here and not before.
    from ganlm_core.cli.display import ProgressDisplay, show_plan, show_result
    from ganlm_core.system import processes
    from ganlm_core.training.parallel import follow, release_ranks
    from ganlm_core.training.train import execute

    context.with_resource(processes.processes())
    if processes.rank() > 0:
        follow(config, host)
        return
    if dry_run:
        show_plan(config, host=host, out=out or resume, as_json=as_json)
    else:
        folder = execute(config, host=host, out=out, resume=resume, display=_watched() if watch else ProgressDisplay())
        show_result(folder, host, as_json)
    release_ranks()


def _watched() -> Any:
    """Return the display of a run that is shown on a page. Raises GanlmError if its packages are missing."""
    from ganlm_core.cli.watch import WatchedDisplay

    return WatchedDisplay()


def configure(host: Host, chosen: Mapping[str, Any], options: Layer | None = None) -> RunConfig:
    """Return the configuration that the command line chooses, with ``options`` over it."""
    names = {section: chosen[_parameter(section)] for section in SELECTORS}
    layers: list[Layer] = [nest({section: {name: {}} for section, name in names.items() if name})]
    if chosen["config"]:
        layers.insert(0, read_layer(chosen["config"]))
    if chosen["data"]:
        layers.append(data_layer(host, chosen["data"]))
    if chosen["recipe"]:
        layers.append({"recipe": chosen["recipe"]})
    if chosen["rewards"]:
        layers.append({"reward": {name: {} for name in chosen["rewards"]}})
    layers += [{"start": _start(chosen)}, options or {}]
    if chosen["resume"]:
        return _resumed(host, chosen["resume"], layers)
    return resolve(host, layers)


def _start(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table ``[start]`` that the command line asks for."""
    given = {key: chosen[flag.replace("-", "_")] for flag, key in START.items()}
    return {key: value for key, value in given.items() if value is not None}


def _configure_roughly(host: Host, chosen: Mapping[str, Any]) -> RunConfig:
    """Return the configuration for the shell completion of a line, which may be wrong."""
    try:
        return configure(host, chosen)
    except GanlmError:
        return resolve(host, [])


def configuration(arguments: Sequence[str]) -> RunConfig:
    """Return the configuration that ``ganlm run`` with these arguments would train. Call it within a command."""
    context = run.make_context("run", list(arguments), parent=click.get_current_context())
    return configure(current_host(), _chosen(context), _given(context))


def _resumed(host: Host, run: Path, layers: Sequence[Layer]) -> RunConfig:
    """Return the configuration with which a run goes on. Raises UsageError if there is no run, or if layers change it.

    Raises PluginError if its plugin is missing.
    """
    from ganlm_core.training.resuming import resumed
    from ganlm_core.training.run_folder import RunFolder

    saved = RunFolder.open(run).load_config(host)
    return resumed(run, saved, override(host, saved, expand(host, layers)))


def _refuse_another_place(context: click.Context, run: Path) -> None:
    """Raise UsageError for the flag --out. GANLM_OUT is allowed, because it is meant for new runs."""
    if context.get_parameter_source("out") is ParameterSource.COMMANDLINE:
        raise UsageError(
            f"--resume {run}: the run continues in its own folder, not in --out {context.params['out']}; "
            "resume it without --out, or start a new run"
        )


def _note_misspelt_variables(context: click.Context) -> None:
    """Note each environment variable that no option reads and whose name is much like one that an option reads."""
    from ganlm_core.sweep.job import KEPT

    read = [option.envvar for option in context.command.get_params(context) if isinstance(option.envvar, str)]
    for name in sorted(os.environ):
        if name.startswith("GANLM_") and name not in (*read, *KEPT) and (near := did_you_mean(name, read, 0.85)):
            note(f"{name} has no effect: no option of this run reads it{near}")


def _note_other_optimizers(context: click.Context, config: RunConfig) -> None:
    """Note the optimiser of a warm-up beside options for the one of the steps after it."""
    given = {option.section for option in _given_options(context)}
    for network in config.optimizers:
        after, before = OPTIMIZER + network, OPTIMIZER + network + WARMUP
        if after in given and before in config.choices() and before not in given:
            note(f"--{prefix_of(after)} is for the steps after the warm-up; --{before} is for the warm-up")


def _section_options(config: RunConfig) -> Iterator[SectionOption]:
    yield from _options("training", "Training", config.training)
    for section, choice in config.choices().items():
        if prefix_of(section):
            yield from _options(section, f"{title_of(section)} {choice.name}", choice.options)


def _options(section: str, title: str, options: Options) -> Iterator[SectionOption]:
    heading = title if section == "training" else f"Options of {title}"
    for option in options.fields():
        yield SectionOption(section, heading, option, getattr(options, option.name))


def _chosen(context: click.Context) -> dict[str, Any]:
    """Return the values of the options that choose. The environment is for new runs: a resumed run ignores it."""
    if not context.params["resume"]:
        return context.params
    said = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    return {name: value if name in said else None for name, value in context.params.items()}


def _given_options(context: click.Context) -> Iterator[SectionOption]:
    """Yield the options of components that come from flags and from the environment."""
    for option in context.meta["ganlm.options"]:
        if context.get_parameter_source(option.name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
            yield option


def _given(context: click.Context) -> Layer:
    """Return the options from flags and from the environment as a layer."""
    tables: dict[str, dict[str, Any]] = {}
    for option in _given_options(context):
        tables.setdefault(option.section, {})[option.option.name] = context.params[option.name]
    training = tables.pop("training", {})
    named = {
        section: {section.removeprefix(REWARD) if section.startswith(REWARD) else CHOSEN: table}
        for section, table in tables.items()
    }
    return nest(named) | {"training": training}


def _explain(host: Host, config: RunConfig, flag: str) -> None:
    """If the flag's prefix belongs to a section, raise an error that says more than that the flag does not exist."""
    prefix, dot, key = flag.removeprefix("--").rpartition(".")
    for section, choice in config.choices().items():
        if dot and prefix_of(section) == prefix:
            check_option(host, section, choice.name, key, said=flag)
    if prefix.startswith(REWARD) and (name := prefix.removeprefix(REWARD)) not in config.rewards:
        host.spec("reward", name)  # raises for an unknown name
        raise UsageError(f"{flag} is an option of a reward that is not chosen; add --reward {name}")
    if prefix.startswith(OPTIMIZER) and (network := prefix.removeprefix(OPTIMIZER)) not in config.optimizers:
        raise UnknownName("optimiser", network, config.optimizers, f"it has {', '.join(config.optimizers)}", "this run")
