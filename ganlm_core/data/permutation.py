"""A permutation of any number of places that is computed place by place, and never held in memory."""

import hashlib

import numpy as np
from numpy.typing import NDArray

ROUNDS = 4
"""With four, and round functions of pure chance, nobody tells a Feistel network from a random permutation."""

Places = NDArray[np.uint64]


def permute(places: NDArray[np.int64], n: int, key: str) -> NDArray[np.int64]:
    """Where a permutation of 0 to n - 1, which the ``key`` chooses, sends these places.

    A Feistel network (Luby & Rackoff 1988) on the fewest bits, an even number, that count to n; what it sends beyond n
    is sent on until it falls below (Black & Rogaway 2002, section 3). Differs: the round function is the finaliser of
    SplitMix64 (Steele et al. 2014, figure 1), which is quick and good chance, but no secret.
    """
    half = np.uint64(((n - 1).bit_length() + 1) // 2)
    keys = np.frombuffer(hashlib.sha256(key.encode()).digest(), dtype="<u8")[:ROUNDS]
    found = _network(places.astype(np.uint64), half, keys)
    while (beyond := found >= n).any():
        found[beyond] = _network(found[beyond], half, keys)
    return found.astype(np.int64)


def _network(places: Places, half: np.uint64, keys: Places) -> Places:
    lowest = (np.uint64(1) << half) - np.uint64(1)
    left, right = places >> half, places & lowest
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & lowest)
    return left << half | right


def _mixed(bits: Places) -> Places:
    bits = (bits ^ bits >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ bits >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return bits ^ bits >> np.uint64(31)
