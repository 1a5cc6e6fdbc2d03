from ganlm_conv.options import ConvDiscriminatorOptions

from ganlm_core.components import Options, option


class LeakGeneratorOptions(Options):
    embedding_size: int = option(64, "size of the token embeddings that the worker reads", min=1)
    hidden_size: int = option(64, "units of the manager's and of the worker's LSTM (H)", min=1)
    goal_size: int = option(8, "size of the goal embedding (K)", min=1)
    horizon: int = option(4, "words that a goal is for: the last so many goals are added (c)", min=1)
    feature_embedding_size: int = option(32, "embedding-size of the 'conv' discriminator whose features leak", min=1)
    widths: str = option("2,3,4,5", "widths of that discriminator")
    filters: int = option(32, "filters of that discriminator", min=1)
    highway: bool = option(True, "highway of that discriminator")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.extractor()

    def extractor(self) -> ConvDiscriminatorOptions:
        """The options of the discriminator whose features leak. It shows the generator what it sees undisturbed."""
        return ConvDiscriminatorOptions(
            embedding_size=self.feature_embedding_size,
            widths=self.widths,
            filters=self.filters,
            highway=self.highway,
            dropout=0.0,
            blur=0.0,
        )


class LeakGANOptions(Options):
    warmup: float = option(0.0, "share of the steps that train the generator on real text first", min=0, max=0.999)
    alternate: int = option(10, "steps on real text, in that time, for each of the discriminator", min=1)
    discriminator_steps: int = option(1, "steps of the discriminator for each of the generator", min=1)
    interleave: int = option(15, "rounds between two steps on real text amid them; 0 for none", min=0)
    intrinsic: float = option(1.0, "weight of how well the words reach the goals in the worker's reward", min=0)
    extrinsic: float = option(0.0, "weight of the discriminator in the worker's reward", min=0)
