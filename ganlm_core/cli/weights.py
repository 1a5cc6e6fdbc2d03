"""``ganlm weights``: look into weights, check, compare and share them, and make a bundle of a run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ganlm_core.bundle.locate import locate
from ganlm_core.bundle.manifest import CONFIG, read_manifest, weights_file
from ganlm_core.cli.context import current_host
from ganlm_core.cli.output import echo_json, echo_table, json_option
from ganlm_core.errors import GanlmError
from ganlm_core.system.files import shown
from ganlm_core.system.header import read_header


@click.group()
def weights() -> None:
    """Inspect, verify, compare, export and share trained weights."""


@weights.command()
@click.argument("path", metavar="FILE|BUNDLE", type=click.Path(path_type=Path))
@json_option
def inspect(path: Path, as_json: bool) -> None:
    """The tensors of a safetensors file, or the parts and the tensors of a bundle. Torch and plugins are not needed."""
    found = contents(path)
    if as_json:
        echo_json(found)
        return
    if found["config"]:
        _echo_config(found["config"])
    for file in found["files"]:
        sizes = f"{len(file['tensors'])} tensors, {file['elements']:,} values, {file['bytes']:,} bytes"
        click.echo(f"{file['file']}: {sizes}")
        for name, tensor in file["tensors"].items():
            click.echo(f"  {_plain(name):<40} {tensor['dtype']:<5} {tensor['shape']}")
        for key, value in file["metadata"].items():
            click.echo(f"  {_plain(key)}: {_plain(value)}")


def contents(path: Path) -> dict[str, Any]:
    """What config.json says, None for a lone file, and what the header of each file says. Raises WeightsError."""
    manifest, paths = None, [path]
    if not path.is_file():
        folder = locate(path)
        manifest = read_manifest(folder / CONFIG)
        paths = [weights_file(folder, kind) for kind in manifest.networks]
    return {"config": manifest.to_dict() if manifest else None, "files": [_describe_file(each) for each in paths]}


def _describe_file(path: Path) -> dict[str, Any]:
    header = read_header(path)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "elements": header.elements,
        "tensors": {name: {"dtype": info.dtype, "shape": list(info.shape)} for name, info in header.tensors.items()},
        "metadata": header.metadata,
    }


def _echo_config(config: dict[str, Any]) -> None:
    sizes = ", ".join(f"{name} {size}" for name, size in config["shape"].items())
    click.echo(f"bundle of format {config['format_version']}, made by ganlm {_plain(config['ganlm_version'])}: {sizes}")
    rows = [
        [
            _plain(kind),
            _plain(part["name"]),
            _plain(f"{part['distribution']} {part['version']}"),
            _plain(" ".join(f"{key}={value}" for key, value in part["options"].items())),
        ]
        for kind, part in config["components"].items()
    ]
    echo_table(("part", "name", "from", "options"), rows)


def _plain(text: str) -> str:
    """A stranger's text without anything that a terminal would obey."""
    return text if text.isprintable() else shown(text)


@weights.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@json_option
def verify(bundle: Path, as_json: bool) -> None:
    """Check a bundle: checksums, headers, shapes, values, tokenizer and self-test. Exit code 4 for a fault."""
    from ganlm_core.bundle.verify import checks

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
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@json_option
def diff(a: Path, b: Path, as_json: bool) -> None:
    """What differs between two bundles: configuration, tokenizer, tensors and evaluation."""
    from ganlm_core.bundle.diff import diff as differences

    found = differences(a, b)
    if as_json:
        echo_json(found)
        return
    pairs = {title: found[title].items() for title in ("configuration", "evaluation")}
    tables = {
        (title, "in A", "in B"): [[_plain(key), _text(was), _text(now)] for key, (was, now) in items]
        for title, items in pairs.items()
    }
    tensors = [[_plain(name), *_tensor_cells(tensor)] for name, tensor in found["tensors"].items()]
    tables[("tensor", "norm of the difference", "share of the norm in A")] = tensors
    for header, rows in tables.items():
        if rows:
            echo_table(header, rows)
    if found["tokenizer"]:
        click.echo("the tokenizers differ")
    if not any(found.values()):
        click.echo("no difference")


def _tensor_cells(found: dict[str, Any]) -> list[str]:
    if "shapes" in found:
        return [f"shapes {_text(found['shapes'][0])} and {_text(found['shapes'][1])}", ""]
    return [f"{found['norm']:.4g}", "" if found["relative"] is None else f"{found['relative']:.2%}"]


def _text(value: Any) -> str:
    return "nothing" if value is None else _plain(str(value))


@weights.command()
@click.argument("run", metavar="RUN|BUNDLE", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER|FILE", help="what to make")
@click.option("--force", is_flag=True, help="replace a bundle that is there")
def export(run: Path, out: Path, force: bool) -> None:
    """A bundle of a run at another place: a copy, or one of its latest checkpoint where the run has not finished.

    If the name of --out ends in .onnx or .pt2: the generator of a bundle for onnxruntime, or for torch.export.load.
    """
    from ganlm_core.bundle import load, onnx
    from ganlm_core.training.export import export
    from ganlm_core.training.run_folder import RunFolder

    host = current_host()
    if out.suffix in onnx.WRITERS:
        onnx.export(load.load(run, host).generator, out)
    else:
        export(RunFolder.open(run), out, host, force)
    click.echo(out)


@weights.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("address", metavar="hf:OWNER/NAME[@BRANCH]")
@click.option("--private", is_flag=True, help="make the repository, if there is none, for yourself alone")
@click.option("--dry-run", is_flag=True, help="show every file that would be sent; send nothing")
@json_option
def push(bundle: Path, address: str, private: bool, dry_run: bool, as_json: bool) -> None:
    """Verify a bundle and send it to the Hugging Face Hub in one commit, whose address is printed.

    The token is the one of 'hf auth login' or of HF_TOKEN.
    """
    from ganlm_core.bundle import hub
    from ganlm_core.bundle.verify import verify as verify_bundle

    target, folder = hub.Address.of(address), locate(bundle)
    verify_bundle(folder, current_host())
    files = hub.plan(folder)
    pushed = None if dry_run else hub.push(folder, target, private)
    if as_json:
        echo_json({"address": str(pushed or target), "sent": not dry_run, "files": [asdict(file) for file in files]})
        return
    if dry_run:
        echo_table(("file", "bytes", "SHA-256"), [[file.name, f"{file.size:,}", file.sha256] for file in files])
    click.echo(pushed if pushed else f"nothing was sent to {target}, which would get these {len(files)} files")


@weights.command()
@click.argument("address", metavar="hf:OWNER/NAME[@REVISION]")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="the folder to make")
def pull(address: str, out: Path) -> None:
    """Fetch a bundle from the Hugging Face Hub to a folder; the address of its commit is printed, and kept there."""
    from ganlm_core.bundle import hub

    click.echo(hub.pull(hub.Address.of(address), out))
