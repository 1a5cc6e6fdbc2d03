from ganlm_core.components import LanguageModelOptions, Options, option
from ganlm_core.errors import OptionError


class TransformerOptions(Options):
    hidden_size: int = option(128, "size of the states (H), a multiple of heads", min=1)
    layers: int = option(2, "blocks of attention and a feed-forward layer", min=1)
    heads: int = option(4, "attention heads", min=1)
    dropout: float = option(0.0, "dropout of the embeddings and of the output of each layer", min=0, max=0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % self.heads:
            nearest = self.hidden_size // self.heads * self.heads or self.heads
            raise OptionError(
                f"hidden-size is {self.hidden_size}, not a multiple of heads, {self.heads}; give {nearest}, for example"
            )


class TransformerDiscriminatorOptions(TransformerOptions):
    hidden_size: int = option(64, "size of the states (H), a multiple of heads", min=1)
    layers: int = option(1, "blocks of attention and a feed-forward layer", min=1)
    blur: float = option(0.8, "instance noise: largest share of a random word in each token vector", min=0, max=1)


class TransformerLanguageModelOptions(LanguageModelOptions, TransformerOptions):
    dropout: float = option(0.2, "dropout of the embeddings and of the output of each layer", min=0, max=0.9)
