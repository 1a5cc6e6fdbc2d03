"""``ganlm weights``: look into weights, check them, and make a bundle of a run."""

from pathlib import Path
from typing import Any

import click

from ganlm_core.cli.context import current_host
from ganlm_core.cli.output import echo_json, json_option
from ganlm_core.errors import GanlmError
from ganlm_core.files import shown
from ganlm_core.header import read_header
from ganlm_core.manifest import CONFIG, find_bundle, read_manifest, weights_file
from ganlm_core.runs import RunFolder


@click.group()
def weights() -> None:
    """Inspect, verify and export trained weights."""


@weights.command()
@click.argument("path", metavar="FILE|BUNDLE", type=click.Path(path_type=Path))
@json_option
def inspect(path: Path, as_json: bool) -> None:
    """The tensors of a safetensors file, or of every network of a bundle, from their headers alone."""
    files = describe(path)
    if as_json:
        echo_json(files)
        return
    for file in files:
        click.echo(f"{file['file']}: {len(file['tensors'])} tensors, {file['elements']:,} values")
        for name, tensor in file["tensors"].items():
            click.echo(f"  {_plain(name):<40} {tensor['dtype']:<5} {tensor['shape']}")
        for key, value in file["metadata"].items():
            click.echo(f"  {_plain(key)}: {_plain(value)}")


def describe(path: Path) -> list[dict[str, Any]]:
    """What the headers say, an entry for each file. Raises WeightsError."""
    paths = [path]
    if path.is_dir():
        folder = find_bundle(path)
        paths = [weights_file(folder, kind) for kind in read_manifest(folder / CONFIG).networks]
    headers = {str(each): read_header(each) for each in paths}
    return [
        {
            "file": file,
            "elements": header.elements,
            "tensors": {
                name: {"dtype": info.dtype, "shape": list(info.shape)} for name, info in header.tensors.items()
            },
            "metadata": header.metadata,
        }
        for file, header in headers.items()
    ]


def _plain(text: str) -> str:
    """A stranger's text without anything that a terminal would obey."""
    return text if text.isprintable() else shown(text)


@weights.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@json_option
def verify(bundle: Path, as_json: bool) -> None:
    """Check a bundle: checksums, headers, shapes, values, tokenizer and self-test. Exit code 4 for a fault."""
    from ganlm_core.bundle import checks

    done: list[dict[str, str]] = []
    try:
        for check in checks(bundle, current_host()):
            done.append({"name": check.name, "detail": check.detail})
            if not as_json:
                click.echo(f"ok  {check.name}: {check.detail}")
    except GanlmError as error:
        if as_json:
            echo_json({"ok": False, "checks": done, "error": str(error)})
        raise
    if as_json:
        echo_json({"ok": True, "checks": done})


@weights.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="the folder to make")
@click.option("--force", is_flag=True, help="replace a bundle that is there")
def export(run: Path, out: Path, force: bool) -> None:
    """The bundle of a run at another place: a copy, or one of its latest checkpoint where the run has not finished."""
    from ganlm_core.bundle import export as export_bundle

    click.echo(export_bundle(RunFolder.open(run), out, current_host(), force))
