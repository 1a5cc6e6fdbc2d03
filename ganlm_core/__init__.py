"""A plugin-based model zoo of GAN language models. The names below are imported when they are first used."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganlm_core.bundle import load
    from ganlm_core.config import RunConfig, make_config
    from ganlm_core.execution import train

__version__ = "0.1.0"
__all__ = ["RunConfig", "__version__", "load", "make_config", "train"]

_HOMES = {"RunConfig": "config", "load": "bundle", "make_config": "config", "train": "execution"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ganlm_core' has no attribute '{name}'")
    return getattr(importlib.import_module(f"ganlm_core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
