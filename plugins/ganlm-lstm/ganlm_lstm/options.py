from ganlm_core.components import LanguageModelOptions, Options, option
from ganlm_core.errors import OptionError


class LSTMGeneratorOptions(Options):
    embedding_size: int = option(64, "size of the token embeddings", min=1)
    hidden_size: int = option(128, "units in each layer (H)", min=1)
    layers: int = option(1, "stacked layers", min=1)
    dropout: float = option(0.0, "dropout before the first layer, between layers and after the last", min=0, max=0.9)
    tie: bool = option(False, "tie the output weights to the token embeddings")


class LSTMDiscriminatorOptions(Options):
    embedding_size: int = option(32, "size of the token embeddings", min=1)
    hidden_size: int = option(64, "units in each layer and direction (H)", min=1)
    layers: int = option(1, "stacked layers per direction", min=1)
    direction: str = option(
        "bidirectional", "reading direction: both, or left to right only", choices=("bidirectional", "causal")
    )
    per_position: bool = option(False, "one logit per position instead of per sequence; needs direction causal")
    dropout: float = option(0.0, "dropout before the logits", min=0, max=0.9)
    blur: float = option(0.8, "instance noise: largest share of a random word in each token vector", min=0, max=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.per_position and self.direction != "causal":
            raise OptionError(
                f"per-position is true with direction {self.direction!r}, where a position sees the whole sequence; "
                "set direction to 'causal'"
            )


class LSTMLanguageModelOptions(LanguageModelOptions, LSTMGeneratorOptions):
    embedding_size: int = option(128, "size of the token embeddings", min=1)
    hidden_size: int = option(192, "units in each layer (H)", min=1)
    dropout: float = option(0.5, "dropout before the first layer, between layers and after the last", min=0, max=0.9)
    tie: bool = option(True, "tie the output weights to the token embeddings")
