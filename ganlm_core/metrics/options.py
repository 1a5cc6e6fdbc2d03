"""Options of the built-in sentence encoders, and of evaluations."""

from ganlm_core.components import Options, option

SCORED = 1_000
"""Test sentences whose likelihood is computed by default."""

TEMPERATURES = (0.7, 0.85, 1.0, 1.15, 1.3)
"""The temperatures of an evaluation by default."""


class HashedNgramsOptions(Options):
    dimensions: int = option(128, "length of the features (F)", min=1)
    orders: int = option(3, "longest n-grams", min=1)


class SentenceTransformersOptions(Options):
    model: str = option("all-MiniLM-L6-v2", "name or folder of the model")
