"""Recurrent networks for ganlm."""

from collections.abc import Iterator

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_lstm.options import LSTMDiscriminatorOptions, LSTMGeneratorOptions, LSTMLanguageModelOptions


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield ComponentSpec(
        "generator",
        "lstm",
        "ganlm_lstm.networks:LSTMGenerator",
        LSTMGeneratorOptions,
        "autoregressive LSTM; the noise gives its initial state",
        "Hochreiter & Schmidhuber 1997; as a language model, Zaremba et al. 2014",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "generator",
        "lstm-per-label",
        "ganlm_lstm.networks:LSTMPerLabelGenerator",
        LSTMGeneratorOptions,
        "an autoregressive LSTM for each label",
        "Wang & Wan 2018, section 'Multi-Class Generative Objective'",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "discriminator",
        "lstm",
        "ganlm_lstm.networks:LSTMDiscriminator",
        LSTMDiscriminatorOptions,
        "LSTM, bidirectional, or causal with a logit per position",
        "Schuster & Paliwal 1997; max pooling, Conneau et al. 2017, section 3.2.2",
    )
    yield ComponentSpec(
        "discriminator",
        "lstm-lm",
        "ganlm_lstm.networks:LSTMLikelihoodRatio",
        LSTMLanguageModelOptions,
        "LSTM language model; the logit is a likelihood ratio to the generator",
        "Deng et al. 2020, eq. 1-2; as a language model, Zaremba et al. 2014",
    )
