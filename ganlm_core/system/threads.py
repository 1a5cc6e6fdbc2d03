"""How the threads of torch's operations wait for each other."""

import os

BRIEFLY = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
"""They look 2,000 times, some 50 microseconds, and then sleep.

By default they look for milliseconds, and take the cores from each other as soon as anything else runs: a step then
takes many times as long. Threads that sleep at once have to be woken for each operation, which takes as long as most
of them do on one thread. GNU's library reads the second variable, that of torch on Linux; others sleep at once.
"""


def wait_briefly() -> None:
    """Before torch is loaded, which is when it looks: what the user has said about waiting stays."""
    if not BRIEFLY.keys() & os.environ:
        os.environ.update(BRIEFLY)
