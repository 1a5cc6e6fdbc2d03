"""Seeds that are derived from others, so that each use of random numbers has a stream of its own."""

import hashlib


def derived_seed(*parts: object, bits: int = 63) -> int:
    """Return the seed of the stream that ``parts`` name, such as a seed and the number of a batch.

    Neighbouring numbers give unrelated seeds. ``bits``: size of the seed. torch's generator on the CPU reads 32 bits.
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - bits)
