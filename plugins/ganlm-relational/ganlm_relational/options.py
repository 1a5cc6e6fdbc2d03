from ganlm_conv.options import ConvDiscriminatorOptions

from ganlm_core.components import Options, option


class RelationalMemoryOptions(Options):
    embedding_size: int = option(64, "size of the token embeddings", min=1)
    slots: int = option(1, "memory slots", min=1)
    heads: int = option(2, "attention heads", min=1)
    head_size: int = option(64, "size of each head; a slot is as large as all heads together (H)", min=1)
    dropout: float = option(0.0, "dropout of the embeddings and before the logits", min=0, max=0.9)


class MultiEmbeddingOptions(ConvDiscriminatorOptions):
    embeddings: int = option(8, "embeddings in which the sentence is read (S)", min=1)
    embedding_size: int = option(8, "size of the token embeddings, of each of them", min=1)
    filters: int = option(32, "filters of each width", min=1)
    highway: bool = option(True, "a highway layer on the features")
