"""A plugin-based model zoo of GAN language models. The names below are imported when they are first used."""

import importlib
from typing import TYPE_CHECKING, Any

from ganlm_core.system.version import __version__

if TYPE_CHECKING:
    from ganlm_core.bundle.load import load
    from ganlm_core.bundle.model import Model
    from ganlm_core.config.make_config import make_config
    from ganlm_core.config.run_config import RunConfig
    from ganlm_core.training.train import train

__all__ = ["Model", "RunConfig", "__version__", "load", "make_config", "train"]

_HOMES = {
    "Model": "bundle.model",
    "RunConfig": "config.run_config",
    "load": "bundle.load",
    "make_config": "config.make_config",
    "train": "training.train",
}


if not TYPE_CHECKING:  # a type checker would accept every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'ganlm_core' has no attribute '{name}'")
        return getattr(importlib.import_module(f"ganlm_core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
