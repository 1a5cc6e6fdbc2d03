"""The rooms of ganlm_core, which several rules are about."""

ROOMS = (
    "errors",
    "system",
    "components",
    "hookspecs",
    "protocol",
    "layers",
    "plugins",
    "data",
    "sampling",
    "config",
    "algorithms",
    "metrics",
    "bundle",
    "training",
    "evaluation",
    "testing",
    "sweep",
    "serve",
    "cli",
    "__main__",
)
"""From the ground up: a room, or a file of the contract, imports only from entries before it."""
