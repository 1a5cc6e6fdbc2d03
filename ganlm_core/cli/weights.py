"""``ganlm weights``: inspect, verify, compare and share trained weights, and export them from a run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ganlm_core.bundle.locate import locate
from ganlm_core.bundle.manifest import CONFIG, read_manifest, weights_file
from ganlm_core.cli.context import current_host
from ganlm_core.cli.options import PATH, force_option, json_option
from ganlm_core.cli.output import echo, echo_json, echo_table, note
from ganlm_core.cli.types import SOURCE
from ganlm_core.errors import GanlmError, UsageError
from ganlm_core.system.header import read_header

SHARE_HASHES = (
    "add hashes of the training sentences, for 'ganlm sample --novel'; a user who guesses a sentence can find it "
    "there, so do not share them for passwords or personal data"
)


@click.group()
def weights() -> None:
    """Inspect, verify, compare, export and share trained weights."""


@weights.command(short_help="list tensors")
@click.argument("path", metavar="FILE|BUNDLE", type=SOURCE)
@json_option
def inspect(path: str, as_json: bool) -> None:
    """List the tensors of a safetensors file, or the networks and tensors of a bundle.

    Neither torch nor the bundle's plugins are needed.
    """
    found = contents(Path(path))
    if as_json:
        echo_json(found)
        return
    if found["config"]:
        _echo_config(found["config"])
    for file in found["files"]:
        sizes = f"{len(file['tensors'])} tensors, {file['elements']:,} values, {file['bytes']:,} bytes"
        echo(f"{file['file']}: {sizes}")
        for name, tensor in file["tensors"].items():
            echo(f"  {name:<40} {tensor['dtype']:<5} {tensor['shape']}")
        for key, value in file["metadata"].items():
            echo(f"  {key}: {value}")


def contents(path: Path) -> dict[str, Any]:
    """Return the ``config`` of a bundle, None for a single file, and the header of each of ``files``.

    Raises WeightsError.
    """
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
    echo(f"bundle of format {config['format_version']}, made by ganlm {config['ganlm_version']}: {sizes}")
    rows = [
        [
            kind,
            part["name"],
            f"{part['distribution']} {part['version']}",
            " ".join(f"{key}={value}" for key, value in part["options"].items()),
        ]
        for kind, part in config["components"].items()
    ]
    echo_table(("part", "name", "from", "options"), rows)
    if labels := list(zip(config.get("labels", []), config.get("label_counts", []), strict=True)):
        echo_table(("label", "training sentences"), [[name, f"{count:,}"] for name, count in labels])
    _echo_descent(config.get("descent", {}))


def _echo_descent(descent: dict[str, Any]) -> None:
    """Print the bundles that the networks were trained from, the nearest first."""
    rows = [
        [network, each["name"], each["revision"], each["sha256"]] for network, line in descent.items() for each in line
    ]
    if rows:
        echo_table(("network", "trained from", "revision", "SHA-256 of its sums"), rows)


@weights.command(short_help="check a bundle")
@click.argument("bundle", type=SOURCE)
@json_option
def verify(bundle: str, as_json: bool) -> None:
    """Check a bundle: checksums, headers, shapes, values, tokenizer and self-test. A fault gives exit code 4."""
    from ganlm_core.bundle.verify import checks

    done: list[dict[str, str]] = []
    try:
        for check in checks(Path(bundle), current_host()):
            done.append({"name": check.name, "detail": check.detail})
            if not as_json:
                echo(f"ok  {check.name}: {check.detail}")
    except GanlmError as error:
        if as_json:
            echo_json({"ok": False, "checks": done, "error": str(error)})
        raise
    if as_json:
        echo_json({"ok": True, "checks": done})


@weights.command(short_help="compare two bundles")
@click.argument("a", type=SOURCE)
@click.argument("b", type=SOURCE)
@json_option
def diff(a: str, b: str, as_json: bool) -> None:
    """Show the differences between the bundles A and B: configuration, tokenizer, tensors and evaluation."""
    from ganlm_core.bundle.diff import diff as differences

    found = differences(Path(a), Path(b))
    if as_json:
        echo_json(found)
        return
    pairs = {title: found[title].items() for title in ("configuration", "evaluation")}
    tables = {
        (title, "in A", "in B"): [[key, _text(was), _text(now)] for key, (was, now) in items]
        for title, items in pairs.items()
    }
    tensors = [[name, *_tensor_cells(tensor)] for name, tensor in found["tensors"].items()]
    tables[("tensor", "norm of A - B", "relative to A")] = tensors
    for header, rows in tables.items():
        if rows:
            echo_table(header, rows)
    if found["tokenizer"]:
        echo("the tokenizers differ")
    if not any(found.values()):
        echo("no difference")


def _tensor_cells(found: dict[str, Any]) -> list[str]:
    if "shapes" in found:
        return [f"shapes {_text(found['shapes'][0])} and {_text(found['shapes'][1])}", ""]
    return [f"{found['norm']:.4g}", "" if found["relative"] is None else f"{found['relative']:.2%}"]


def _text(value: Any) -> str:
    return "nothing" if value is None else str(value)


@weights.command(short_help="copy or convert a bundle")
@click.argument("run", metavar="RUN|BUNDLE", type=SOURCE)
@click.option("--out", type=PATH, required=True, metavar="FOLDER|FILE", help="the bundle or file to create")
@click.option("--share-hashes", is_flag=True, help=SHARE_HASHES)
@force_option
@json_option
def export(run: str, out: Path, share_hashes: bool, force: bool, as_json: bool) -> None:
    """Copy a bundle, or the bundle of a run, to --out. For an unfinished run, make one from its latest checkpoint.

    If --out ends in .onnx or .pt2, export the generator for onnxruntime or for torch.export.load instead.
    """
    from ganlm_core.bundle import onnx
    from ganlm_core.cli.source import load_source, training_text
    from ganlm_core.training.export import export

    host = current_host()
    if out.suffix in onnx.WRITERS:
        if share_hashes:
            raise UsageError(
                f"--share-hashes has no effect on {out}, a generator alone; leave it out, or export a bundle"
            )
        onnx.export(load_source(run, host, "cpu").generator, out, force)
    else:
        known = training_text(run, load_source(run, host, "cpu"), host).train if share_hashes else None
        export(run, out, host, force, known)
    echo_json({"path": str(out)}) if as_json else echo(str(out))


@weights.command(short_help="upload a bundle to the Hugging Face Hub")
@click.argument("bundle", type=SOURCE)
@click.argument("address", metavar="hf:OWNER/NAME[@BRANCH]")
@click.option("--private", is_flag=True, help="if the repository is created, make it private")
@click.option("--dry-run", is_flag=True, help="list the files that would be uploaded; upload nothing")
@json_option
def push(bundle: str, address: str, private: bool, dry_run: bool, as_json: bool) -> None:
    """Verify a bundle, upload it to the Hugging Face Hub in one commit, and print the address of the commit.

    The access token is taken from 'hf auth login' or from HF_TOKEN.
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
    echo(str(pushed) if pushed else f"nothing was sent to {target}, which would get these {len(files)} files")


@weights.command(short_help="download a bundle from the Hugging Face Hub")
@click.argument("address", metavar="hf:OWNER/NAME[@REVISION]")
@click.option("--out", type=PATH, required=True, metavar="FOLDER", help="the folder to create")
@json_option
def pull(address: str, out: Path, as_json: bool) -> None:
    """Download a bundle from the Hugging Face Hub to a folder, and print the address of its commit.

    The folder keeps the address too.
    """
    from ganlm_core.bundle import hub

    pulled = str(hub.pull(hub.Address.of(address), out, note))
    echo_json({"address": pulled, "folder": str(out)}) if as_json else echo(pulled)
