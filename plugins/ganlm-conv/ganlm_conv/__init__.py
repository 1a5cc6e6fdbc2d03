"""One-dimensional convolutions for ganlm."""

from collections.abc import Iterator

from ganlm_conv.options import (
    CausalConvLanguageModelOptions,
    CausalConvOptions,
    ConvDiscriminatorOptions,
    ConvGeneratorOptions,
)
from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield ComponentSpec(
        "generator",
        "conv",
        "ganlm_conv.networks:ConvGenerator",
        ConvGeneratorOptions,
        "residual convolutions that write all positions at once",
        "Gulrajani et al. 2017, appendix F",
        recipe="one-shot",
    )
    yield ComponentSpec(
        "generator",
        "causal-conv",
        "ganlm_conv.networks:CausalConvGenerator",
        CausalConvOptions,
        "autoregressive gated convolutions, dilated to see the whole sequence",
        "Dauphin et al. 2017, eq. 1; dilation, van den Oord et al. 2016, section 2.1",
        recipe="autoregressive",
    )
    yield ComponentSpec(
        "discriminator",
        "conv",
        "ganlm_conv.networks:ConvDiscriminator",
        ConvDiscriminatorOptions,
        "text CNN: filters of several widths with maximum over time",
        "Kim 2014, section 2; highway layer, Srivastava et al. 2015, eq. 3",
    )
    yield ComponentSpec(
        "discriminator",
        "causal-conv-lm",
        "ganlm_conv.networks:CausalConvLikelihoodRatio",
        CausalConvLanguageModelOptions,
        "causal convolutional language model; the logit is a likelihood ratio to the generator",
        "Deng et al. 2020, eq. 1-2; as a language model, Dauphin et al. 2017",
    )
