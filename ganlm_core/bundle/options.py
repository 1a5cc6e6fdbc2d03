"""Options of selecting sentences with the discriminator. Nothing here imports torch."""

METHODS = ("rejection", "mh", "resample", "rerank")
"""The names of the methods, which :data:`ganlm_core.bundle.select.SELECTIONS` has."""

CANDIDATES = 16
"""Candidates per sentence by default."""
