from ganlm_conv.options import ConvDiscriminatorOptions

from ganlm_core.components import Options, option


class RelationalMemoryOptions(Options):
    embedding_size: int = option(64, "size of the token embeddings", min=1)
    slots: int = option(1, "memory slots", min=1)
    heads: int = option(2, "attention heads", min=1)
    head_size: int = option(64, "size of each head; a slot has heads * head-size units (H)", min=1)
    dropout: float = option(0.0, "dropout of the embeddings and before the logits", min=0, max=0.9)


class MultiEmbeddingOptions(ConvDiscriminatorOptions):
    embeddings: int = option(8, "number of embeddings of the sentence (S)", min=1)
    embedding_size: int = option(8, "size of each token embedding", min=1)
    filters: int = option(32, "filters per width", min=1)
    highway: bool = option(True, "add a highway layer after the features")
