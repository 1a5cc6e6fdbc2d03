"""A model by what the user names: a bundle, an address, or a run, finished or in training."""

from typing import TYPE_CHECKING

from ganlm_core.cli.output import note
from ganlm_core.plugins.host import Host

if TYPE_CHECKING:
    from ganlm_core.bundle.model import Model


def load_source(name: str, host: Host, device: str) -> "Model":
    """Load the model that ``name`` says; for a run that has no bundle yet, the model of its latest checkpoint.

    Raises as :func:`ganlm_core.bundle.load.load` does.
    """
    from ganlm_core.bundle.load import load
    from ganlm_core.training.export import load_checkpoint, without_bundle

    run = without_bundle(name)
    if run is None:
        return load(name, host, device)
    model, step = load_checkpoint(run, host, device)
    note(f"{name} has not finished; its checkpoint of step {step} is used")
    return model
