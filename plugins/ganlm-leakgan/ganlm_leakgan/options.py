from ganlm_conv.options import ConvDiscriminatorOptions

from ganlm_core.algorithms.options import ScheduleOptions
from ganlm_core.components import Options, option


class LeakGeneratorOptions(Options):
    embedding_size: int = option(64, "size of the worker's token embeddings", min=1)
    hidden_size: int = option(64, "units in the LSTMs of manager and worker (H)", min=1)
    goal_size: int = option(8, "size of the goal embedding (K)", min=1)
    horizon: int = option(4, "number of words that a goal counts for; the last c goals are summed (c)", min=1)
    feature_embedding_size: int = option(32, "embedding-size of the 'conv' discriminator that leaks features", min=1)
    widths: str = option("2,3,4,5", "widths of the 'conv' discriminator that leaks features")
    filters: int = option(32, "filters of the 'conv' discriminator that leaks features", min=1)
    highway: bool = option(True, "highway of the 'conv' discriminator that leaks features")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.extractor()

    def extractor(self) -> ConvDiscriminatorOptions:
        """Return the options of the discriminator that leaks features, without dropout and instance noise."""
        return ConvDiscriminatorOptions(
            embedding_size=self.feature_embedding_size,
            widths=self.widths,
            filters=self.filters,
            highway=self.highway,
            dropout=0.0,
            blur=0.0,
        )


class LeakGANOptions(ScheduleOptions):
    interleave: int = option(15, "add one step on real text after every N rounds; 0: none", min=0)
    alternate: int = option(10, "steps of the warm-up per discriminator step", min=1)
    intrinsic: float = option(
        1.0, "weight of the intrinsic reward (words follow the goals) in the worker's reward", min=0
    )
    extrinsic: float = option(0.0, "weight of the discriminator's reward in the worker's reward", min=0)
