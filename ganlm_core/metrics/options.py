"""Options of the built-in sentence encoders."""

from ganlm_core.components import Options, option


class HashedNgramsOptions(Options):
    dimensions: int = option(128, "length of the features (F)", min=1)
    orders: int = option(3, "longest n-grams", min=1)


class SentenceTransformersOptions(Options):
    model: str = option("all-MiniLM-L6-v2", "name or folder of the model")
