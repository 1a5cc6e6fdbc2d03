"""The only module that imports TensorBoard."""

from pathlib import Path
from typing import Any

from ganlm_core.errors import PluginError


def open_writer(folder: Path) -> Any:
    """Return a writer of event files into ``folder``. Raises PluginError if TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise PluginError(
            "GANLM_TENSORBOARD is set, and TensorBoard is not installed; pip install 'ganlm[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder))
