"""A plugin of one file for docs/experiments.md: an LSTM whose dropout has one mask for all positions of a sentence.

ganlm run --plugin benchmarks/variational.py --recipe mle --gen lstm-variational
"""

from collections.abc import Iterator

from ganlm_lstm.networks import LSTMGenerator
from ganlm_lstm.options import LSTMGeneratorOptions
from torch import Tensor, nn

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_core.protocol import Shape


class VariationalDropout(nn.Dropout):
    """Dropout of states (B, T, H) with one mask for all positions of a sentence (Gal & Ghahramani 2016, section 4).

    Differs: only the inputs and the outputs of the LSTM are dropped. The paper also drops units of the recurrent
    connections and whole words of the embedding.
    """

    def forward(self, states: Tensor) -> Tensor:
        return states * super().forward(states.new_ones(len(states), 1, states.shape[-1]))


class VariationalLSTMGenerator(LSTMGenerator):
    def __init__(self, shape: Shape, options: LSTMGeneratorOptions) -> None:
        super().__init__(shape, options)
        self.dropout = VariationalDropout(options.dropout)


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield ComponentSpec(
        "generator",
        "lstm-variational",
        f"{__name__}:VariationalLSTMGenerator",
        LSTMGeneratorOptions,
        "autoregressive LSTM; its dropout has one mask for all positions of a sentence",
        "Gal & Ghahramani 2016",
    )
