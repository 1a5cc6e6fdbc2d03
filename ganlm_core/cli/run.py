"""``ganlm run``: one training. Its options are those of the components that it chooses, so the line is read twice.

The first reading takes only what chooses (``--gen``, ``--recipe``, ``--config``, ...) and resolves a configuration.
The second knows the options of everything chosen, with their values in that configuration as defaults; what the
user gave, by flag or by environment, is laid over it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ganlm_core.cli.context import current_host
from ganlm_core.cli.output import echo_json, json_option
from ganlm_core.components import Option, Options
from ganlm_core.config.run_config import (
    CHOSEN,
    PREFIXES,
    Layer,
    RunConfig,
    check_option,
    data_layer,
    difference,
    nest,
    override,
    read_layer,
    resolve,
)
from ganlm_core.errors import UsageError
from ganlm_core.plugins.host import Host


class Name(click.ParamType):
    """A word. One that is empty, such as that of a variable that is not set, is not the default either."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return value or self.fail("it is empty; give a name, or leave the option out", param, ctx)


NAME = Name()
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(path_type=Path)


def _identifier(flag: str) -> str:
    return "option_" + re.sub(r"\W", "_", flag.removeprefix("--"))


def _variable(flag: str) -> str:
    """The environment variable of a flag: ``--gen.hidden-size`` is ``GANLM_GEN_HIDDEN_SIZE``."""
    return "GANLM_" + re.sub(r"\W", "_", flag.removeprefix("--")).upper()


class SectionOption(click.Option):
    """The flag of one option of one section of the configuration."""

    def __init__(self, section: str, title: str, option: Option, value: Any) -> None:
        prefix = f"{PREFIXES[section]}." if section in PREFIXES else ""
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
    """A command with the options of the components that its own line chooses."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        help_flag = click.Option(["--help"], is_flag=True)  # unknown, it would send click to look for near names
        first = click.Command("run", params=[*self.params, help_flag], add_help_option=False)
        first.context_settings = {"ignore_unknown_options": True, "allow_extra_args": True}
        chosen = first.make_context(ctx.info_name, list(args), parent=ctx.parent).params
        host = current_host()
        config = configure(host, chosen)
        ctx.meta["ganlm.options"] = list(_section_options(config))
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
    """The name of the parameter that chooses in a section; _identifier is for the options of what is chosen."""
    return section.replace(".", "_")


def _selector(flag: str, section: str, help: str) -> click.Option:
    return click.Option(
        [flag, _parameter(section)], type=NAME, metavar="NAME", envvar=_variable(flag), help=help, show_default=True
    )


SELECTORS = {
    "generator": "the generator",
    "discriminator": "the discriminator",
    "algorithm": "the training method",
    "loss": "the adversarial loss",
    "penalty": "the regulariser of the discriminator",
    "estimator": "how the gradient passes the sampling of tokens",
    "tokenizer": "word, char or bpe",
    "optimizer.generator": "the optimiser of the generator",
    "optimizer.discriminator": "the optimiser of the discriminator",
}


@click.command(
    "run",
    cls=RunCommand,
    params=[_selector(f"--{PREFIXES[section]}", section, help) for section, help in SELECTORS.items()],
    epilog="'ganlm list' shows the names. Every option can come from the environment: GANLM_STEPS, GANLM_GEN, "
    "GANLM_GEN_HIDDEN_SIZE. A flag wins over the environment, that over --config, that over the recipe.",
)
@click.option(
    "--data", type=NAME, envvar="GANLM_DATA", metavar="FILE|CORPUS", help="a text, CSV or JSONL file, - or a corpus"
)
@click.option(
    "--recipe", type=NAME, envvar="GANLM_RECIPE", metavar="NAME", help="the recipe that everything else changes"
)
@click.option("--config", envvar="GANLM_CONFIG", type=FILE, metavar="FILE", help="a TOML file over the recipe")
@click.option("--out", envvar="GANLM_OUT", type=FOLDER, metavar="FOLDER", help="the run folder, a new one")
@click.option("--resume", type=FOLDER, metavar="RUN", help="go on with an interrupted run")
@click.option("--dry-run", is_flag=True, help="show the configuration, the sizes and the folder; train nothing")
@click.option("--print-config", is_flag=True, help="print the resolved configuration as TOML; train nothing")
@json_option
@click.pass_context
def run(
    context: click.Context,
    out: Path | None,
    resume: Path | None,
    dry_run: bool,
    print_config: bool,
    as_json: bool,
    **_: Any,
) -> None:
    """Train a generator against a discriminator. The options below are those of what is chosen: --gen transformer
    --help shows those of the transformer."""
    host = current_host()
    config = configure(host, context.params, _given(context))
    if resume is not None:
        _refuse_another_place(context, resume)
        _refuse_changes(resume, _saved(host, resume), config)
    if print_config:
        echo_json(config.to_dict()) if as_json else click.echo(config.to_toml(), nl=False)
        return
    # Torch is imported here and not before.
    from ganlm_core.cli.display import ProgressDisplay, show_plan, show_result
    from ganlm_core.system import processes
    from ganlm_core.training.parallel import follow, let_go
    from ganlm_core.training.train import execute

    context.with_resource(processes.processes())
    if processes.rank() > 0:
        follow(config, host)
        return
    if dry_run:
        show_plan(config, host=host, out=out or resume, as_json=as_json)
    else:
        folder = execute(config, host=host, out=out, resume=resume, display=ProgressDisplay())
        show_result(folder, host, as_json)
    let_go()


def configure(host: Host, chosen: Mapping[str, Any], options: Layer | None = None) -> RunConfig:
    """The configuration that the command line chooses, ``options`` over it."""
    names = {section: chosen[_parameter(section)] for section in SELECTORS}
    layers: list[Layer] = [nest({section: {name: {}} for section, name in names.items() if name})]
    if chosen["config"]:
        layers.insert(0, read_layer(chosen["config"]))
    if chosen["data"]:
        layers.append(data_layer(host, chosen["data"]))
    if chosen["recipe"]:
        layers.append({"recipe": chosen["recipe"]})
    layers.append(options or {})
    return override(host, _saved(host, chosen["resume"]), layers) if chosen["resume"] else resolve(host, layers)


def configuration(arguments: Sequence[str]) -> RunConfig:
    """What ``ganlm run`` with these arguments would train, asked within a command. Raises as it does."""
    context = run.make_context("run", list(arguments), parent=click.get_current_context())
    return configure(current_host(), context.params, _given(context))


def _saved(host: Host, run: Path) -> RunConfig:
    """The configuration that a run started with. Raises UsageError for no run folder, PluginError for lost plugins."""
    from ganlm_core.training.run_folder import RunFolder

    return RunFolder.open(run).load_config(host)


def _refuse_another_place(context: click.Context, run: Path) -> None:
    """A flag alone is refused: the environment speaks of new runs."""
    if context.get_parameter_source("out") is ParameterSource.COMMANDLINE:
        raise UsageError(
            f"--resume {run}: the run goes on in its own folder, not in --out {context.params['out']}; "
            "resume it without --out, or start a new run"
        )


def _refuse_changes(run: Path, saved: RunConfig, config: RunConfig) -> None:
    changes = difference(saved, config)
    if changes:
        raise UsageError(
            f"--resume {run}: the run has another configuration ({', '.join(changes)}); "
            "resume it without these options, or start a new run"
        )


def _section_options(config: RunConfig) -> Iterator[SectionOption]:
    yield from _options("training", "Training", config.training)
    for section, choice in config.choices().items():
        if section in PREFIXES:
            yield from _options(section, f"{' '.join(reversed(section.split('.')))} {choice.name}", choice.options)


def _options(section: str, title: str, options: Options) -> Iterator[SectionOption]:
    heading = title if section == "training" else f"Options of {title}"
    for option in options.fields():
        yield SectionOption(section, heading, option, getattr(options, option.name))


def _given(context: click.Context) -> Layer:
    """The options that came from a flag or the environment, as a layer."""
    tables: dict[str, dict[str, Any]] = {}
    for option in context.meta["ganlm.options"]:
        if context.get_parameter_source(option.name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
            tables.setdefault(option.section, {})[option.option.name] = context.params[option.name]
    training = tables.pop("training", {})
    return nest({section: {CHOSEN: table} for section, table in tables.items()}) | {"training": training}


def _explain(host: Host, config: RunConfig, flag: str) -> None:
    """Raises an error that knows more than that a flag does not exist, if its prefix is that of a section."""
    prefix, dot, key = flag.removeprefix("--").partition(".")
    for section, choice in config.choices().items():
        if dot and PREFIXES.get(section) == prefix:
            check_option(host, section, choice.name, key, said=flag)
