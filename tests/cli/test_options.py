"""Options that several commands share."""

import click
from click.testing import CliRunner

from ganlm_core.cli.options import CORPUS_OPTIONS, corpus_options
from ganlm_core.data.options import FileOptions


def test_the_options_of_reading_a_file_come_as_one_mapping() -> None:
    @click.command()
    @corpus_options
    def command(corpus: dict[str, object]) -> None:
        click.echo(FileOptions(path="x", **corpus))

    given = CliRunner().invoke(command, ["--corpus.column", "review", "--corpus.max-line", "7"])
    assert given.output == f"{FileOptions(path='x', column='review', max_line=7)}\n"
    assert CliRunner().invoke(command, []).output == f"{FileOptions(path='x')}\n"
    assert CliRunner().invoke(command, ["--corpus.max-line", "0"]).exit_code == 2


def test_every_option_of_a_file_but_its_path_is_there() -> None:
    command = click.command()(corpus_options(lambda corpus: None))
    flags = [flag for parameter in command.params for flag in parameter.opts]
    assert flags == [f"--corpus.{option.flag}" for option in FileOptions.fields() if option.name != "path"]
    assert tuple(parameter.name for parameter in command.params) == CORPUS_OPTIONS
