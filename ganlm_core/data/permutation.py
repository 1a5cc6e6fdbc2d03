"""A permutation of any size that is computed place by place, and never held in memory."""

import hashlib

import numpy as np
from numpy.typing import NDArray

ROUNDS = 4
"""With four rounds of random functions, a Feistel network is indistinguishable from a random permutation."""

Places = NDArray[np.uint64]


def permute(places: NDArray[np.int64], n: int, key: str) -> NDArray[np.int64]:
    """Return the images of these places under the permutation of 0 to n - 1 that the ``key`` selects.

    It is a Feistel network (Luby & Rackoff 1988) on the smallest even number of bits that can count to n; an image
    beyond n is mapped again until it is below n (Black & Rogaway 2002, section 3). Differs: the round function is the
    finaliser of SplitMix64 (Steele et al. 2014, figure 1), which is fast and mixes well, but is not secret.
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
