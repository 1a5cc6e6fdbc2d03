"""Set how the threads of torch's operations wait for each other."""

import os

BRIEFLY = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
"""Threads spin 2,000 times (about 50 microseconds) and then sleep.

By default they spin for milliseconds, and take the cores from each other as soon as another process runs: a step then
takes many times as long. Threads that sleep at once must be woken for each operation, which takes as long as most
operations take on one thread. Only GNU's library, which torch uses on Linux, reads the second variable; with other
libraries threads sleep at once.
"""


def wait_briefly() -> None:
    """Set the variables unless the user has set one of them. Call this before torch is imported, which reads them."""
    if not BRIEFLY.keys() & os.environ:
        os.environ.update(BRIEFLY)
