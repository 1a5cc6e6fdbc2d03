from ganlm_core.components import AUTO, LanguageModelOptions, Options, option
from ganlm_core.errors import OptionError


class ConvGeneratorOptions(Options):
    hidden_size: int = option(64, "channels (H)", min=1)
    blocks: int = option(3, "residual blocks of two convolutions each", min=1)
    kernel: int = option(5, "kernel size of the convolutions, an odd number", min=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel % 2 == 0:
            raise OptionError(f"kernel is {self.kernel}; wanted an odd number, so that positions keep their place")


class CausalConvOptions(Options):
    hidden_size: int = option(128, "channels, and size of the token embeddings (H)", min=1)
    kernel: int = option(3, "kernel size of the convolutions; the dilation is 1, 2, 4, ... in successive layers", min=2)
    layers: int = option(AUTO, "convolution layers; 0: as many as needed to see the whole sequence", min=0)
    dropout: float = option(0.0, "dropout of the embeddings and of the output of each layer", min=0, max=0.9)


class ConvDiscriminatorOptions(Options):
    embedding_size: int = option(32, "size of the token embeddings", min=1)
    widths: str = option("2,3,4,5", "widths of the filters in tokens, comma-separated")
    filters: int = option(64, "filters per width", min=1)
    padding: bool = option(True, "add zeros at both ends, so that filters see windows that overlap them")
    highway: bool = option(False, "add a highway layer after the features")
    dropout: float = option(0.0, "dropout before the logit", min=0, max=0.9)
    blur: float = option(0.5, "instance noise: largest share of a random word in each token vector", min=0, max=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(width.strip().isdecimal() and int(width) > 0 for width in self.widths.split(",")):
            raise OptionError(
                f"widths is {self.widths!r}; wanted comma-separated integers of at least 1, such as 2,3,4"
            )


class CausalConvLanguageModelOptions(LanguageModelOptions, CausalConvOptions):
    dropout: float = option(0.3, "dropout of the embeddings and of the output of each layer", min=0, max=0.9)
