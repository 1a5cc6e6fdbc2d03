"""Where a bundle is, from what a user says: a folder, a run, ``zoo:NAME`` or ``hf:OWNER/NAME@REVISION``."""

import os
from pathlib import Path

from ganlm_core.bundle import hub, zoo
from ganlm_core.bundle.manifest import find_bundle


def locate(source: str | os.PathLike[str]) -> Path:
    """The folder of the bundle; one on the Hub is fetched, and kept for the next time.

    Raises WeightsError saying what to give instead, UnknownName for a name that the zoo lacks, UsageError for an
    address that is none or has no revision, and GanlmError for what the Hub refuses.
    """
    text = os.fspath(source)
    if text.startswith(zoo.PREFIX):
        return zoo.find(text.removeprefix(zoo.PREFIX))
    if text.startswith(hub.PREFIX):
        return find_bundle(hub.fetch(hub.Address.of(text)))
    return find_bundle(Path(text))
