"""The bundle of a run."""

from dataclasses import replace
from pathlib import Path

from ganlm_core.bundle.manifest import (
    CONFIG,
    NETWORKS,
    build,
    manifest_of,
)
from ganlm_core.bundle.save import save
from ganlm_core.bundle.verify import verify
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.options import FileOptions
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Shape
from ganlm_core.system.files import (
    SUMS,
    check_free,
    new_folder,
    read_sums,
    write_file,
)
from ganlm_core.system.tensors import check_state
from ganlm_core.training.checkpoint import latest
from ganlm_core.training.run_folder import RunFolder


def shared_config(config: RunConfig, run: RunFolder) -> RunConfig:
    """The configuration of a run as its bundle has it: data that the run folder keeps go by their name alone."""
    options = config.corpus.options
    if not isinstance(options, FileOptions) or not run.data.exists():
        return config
    return replace(config, corpus=replace(config.corpus, options=replace(options, path=run.data.name)))


def export(run: RunFolder, folder: Path, host: Host, force: bool = False) -> Path:
    """The bundle of a run at another place: a copy of its own, or one made from its latest checkpoint.

    Raises as :func:`save`, and WeightsError when the run has no checkpoint or no tokenizer.
    """
    check_free(folder, force, (CONFIG, SUMS))
    if run.bundle.is_dir():
        verify(run.bundle, host)
        with new_folder(folder, replace=force) as beside:
            for name in (*read_sums(run.bundle), SUMS):
                write_file(beside / name, (run.bundle / name).read_bytes())
        return folder
    config, checkpoint = shared_config(run.load_config(host), run), latest(run.checkpoints)
    shape = run.shape()
    names = tuple(kind for kind in NETWORKS if kind in checkpoint.networks)
    manifest = manifest_of(config, shape, names, host)
    networks = {}
    for kind in names:
        networks[kind] = build(host, run.path / "config.toml", manifest, kind, Shape(**shape))
        check_state(checkpoint.path, checkpoint.network(kind), networks[kind])
        networks[kind].load_state_dict(checkpoint.network(kind))
    return save(
        folder,
        config=config,
        shape=Shape(**shape),
        networks=networks,
        tokenizer=Tokenizer.from_json(run.tokenizer()),
        evaluation={},
        host=host,
        unused=run.unused(),
        force=force,
    )
