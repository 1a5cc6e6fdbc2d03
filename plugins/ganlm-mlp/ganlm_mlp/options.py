from ganlm_core.components import LanguageModelOptions, Options, option


class MLPGeneratorOptions(Options):
    hidden_size: int = option(256, "units in each hidden layer", min=1)
    layers: int = option(2, "hidden layers", min=1)
    position_size: int = option(64, "units per position after the last hidden layer (H)", min=1)


class NgramOptions(Options):
    context: int = option(12, "window size: tokens that predict the next token", min=1)
    embedding_size: int = option(64, "size of the token embeddings", min=1)
    hidden_size: int = option(256, "units in each hidden layer (H)", min=1)
    layers: int = option(1, "hidden layers", min=1)
    dropout: float = option(0.0, "dropout of the embeddings and of the last hidden layer", min=0, max=0.9)


class MLPDiscriminatorOptions(Options):
    embedding_size: int = option(64, "size of the token embeddings", min=1)
    hidden_size: int = option(256, "units in each hidden layer (F)", min=1)
    layers: int = option(2, "hidden layers", min=1)
    dropout: float = option(0.0, "dropout before the logit", min=0, max=0.9)
    blur: float = option(0.0, "instance noise: largest share of a random word in each token vector", min=0, max=1)


class NgramLanguageModelOptions(LanguageModelOptions, NgramOptions):
    dropout: float = option(0.3, "dropout of the embeddings and of the last hidden layer", min=0, max=0.9)
