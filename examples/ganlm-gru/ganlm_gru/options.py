from ganlm_core.components import Options, option


class GRUGeneratorOptions(Options):
    embedding_size: int = option(64, "size of the token embeddings", min=1)
    hidden_size: int = option(128, "units in each layer (H)", min=1)
    layers: int = option(1, "stacked layers", min=1)
    dropout: float = option(0.0, "dropout between layers and before the logits", min=0, max=0.9)


class GRUDiscriminatorOptions(Options):
    embedding_size: int = option(32, "size of the token embeddings", min=1)
    hidden_size: int = option(64, "units in the layer (H)", min=1)
    dropout: float = option(0.0, "dropout before the logit", min=0, max=0.9)
    blur: float = option(0.8, "instance noise: largest share of a random word in each token vector", min=0, max=1)
