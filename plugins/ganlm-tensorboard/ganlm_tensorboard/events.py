"""The one place that imports TensorBoard."""

from pathlib import Path
from typing import Any

from ganlm_core.errors import PluginError


def open_writer(folder: Path) -> Any:
    """A writer of event files into ``folder``. Raises PluginError where the library is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise PluginError(
            "GANLM_TENSORBOARD names a folder, and TensorBoard is not installed; pip install 'ganlm[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder))
