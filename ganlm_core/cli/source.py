"""A model by what the user names: a bundle, an address, or a run, finished or in training."""

from typing import TYPE_CHECKING

from ganlm_core.plugins.host import Host

if TYPE_CHECKING:
    from ganlm_core.bundle.model import Model


def load_source(name: str, host: Host, device: str) -> "Model":
    """Load the model that ``name`` says. Raises as :func:`ganlm_core.bundle.load.load`."""
    from ganlm_core.bundle.load import load

    return load(name, host, device)
