"""Options of the built-in losses, penalties, estimators, algorithms and rewards."""

import re

from ganlm_core.components import Options, RewardOptions, option
from ganlm_core.errors import OptionError

BASELINES = ("none", "moving-average", "leave-one-out", "same-length", "learned")


class NonSaturatingOptions(Options):
    smoothing: float = option(0.0, "one-sided label smoothing: real data get the label 1 - smoothing", min=0, max=0.5)


class RatioOptions(NonSaturatingOptions):
    """Options of losses that read log p_data/p_generator from the logit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.smoothing > 0:
            raise OptionError(
                f"smoothing is {self.smoothing}, and with it the best logit is not log(p_data/p_generator), which this "
                "loss needs; leave it at 0, or choose --loss non-saturating"
            )


class PenaltyOptions(Options):
    weight: float = option(1.0, "weight of the penalty in the discriminator's loss", min=0)
    interval: int = option(
        1, "compute the penalty every N steps, multiplied by N (Karras et al. 2020, section 3.1)", min=1
    )


class WGANGPOptions(PenaltyOptions):
    weight: float = option(10.0, "weight of the penalty in the discriminator's loss", min=0)


class GumbelOptions(Options):
    temperature: float = option(1.0, "softmax temperature at the first adversarial step", min=0.001, max=1000)
    final_temperature: float = option(
        0.2, "softmax temperature at the last step; annealed geometrically", min=0.001, max=1000
    )
    feed: str = option(
        "relaxed",
        "next input of an autoregressive generator: the relaxed words, or the drawn words (Nie et al. 2019)",
        choices=("relaxed", "drawn"),
    )


class StraightThroughOptions(Options):
    temperature: float = option(1.0, "temperature of the softmax in the backward pass", min=0.001, max=1000)


class SoftmaxOptions(Options):
    temperature: float = option(1.0, "temperature of the softmax that the discriminator reads", min=0.001, max=1000)


class ReinforceOptions(Options):
    reward: str = option(
        "sequence",
        "reward of a token: its sequence's reward, or its own plus the discounted rewards of later positions",
        choices=("sequence", "position"),
    )
    discount: float = option(1.0, "discount per position of later rewards", min=0, max=1)
    baseline: str = option(
        "leave-one-out",
        "baseline subtracted from the reward; same-length: the leave-one-out mean of sequences of the same length, "
        "which removes the gradient through the length; learned: a linear value function",
        choices=BASELINES,
    )
    decay: float = option(0.9, "decay per step of the moving-average or learned baseline", min=0, max=0.9999)
    entropy: float = option(0.0, "weight of the generator's entropy, which is added to the reward", min=0)
    samples: int = option(1, "sequences to draw per noise vector", min=1)
    stratified: bool = option(False, "draw sequences that share words in proportion to their probabilities")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stratified and self.baseline in ("leave-one-out", "same-length"):
            raise OptionError(
                f"stratified samples depend on each other, and the baseline {self.baseline} is their own mean, which "
                "would be biased; choose the baseline learned, moving-average or none"
            )


class ClippedOptions(ReinforceOptions):
    steps: int = option(4, "generator steps on the same samples", min=1)
    clip: float = option(
        0.2, "a token gets no gradient once its probability ratio leaves 1 - clip to 1 + clip", min=0.001, max=1
    )


class RolloutOptions(Options):
    samples: int = option(16, "completions to draw per prefix", min=1)
    baseline: str = option("leave-one-out", "baseline subtracted from the reward, as of reinforce", choices=BASELINES)
    decay: float = option(0.9, "decay per step of the moving-average or learned baseline", min=0, max=0.9999)
    rank: float = option(
        0.0, "sharpness of rewards by rank in the batch (Guo et al. 2018); 0: do not rank rewards", min=0
    )
    chunk: int = option(4096, "maximum number of rollouts drawn and scored at once; limits memory", min=1)


class ImportanceOptions(Options):
    baseline: float = option(
        0.0, "baseline subtracted from the weights, as a multiple of their mean; 1: they sum to zero", min=0
    )
    temperature: float = option(1.0, "sampling temperature of the proposals", min=0.001, max=1000)
    prefix: float = option(
        0.0,
        "fraction of a real sequence that samples continue at the first adversarial step; falls to 0",
        min=0,
        max=1,
    )


class ScheduleOptions(Options):
    warmup: float = option(
        0.0, "fraction of the steps, at the start, that train the generator by maximum likelihood", min=0, max=1
    )
    discriminator_warmup: float = option(
        0.0, "fraction of the steps, after the warm-up, that train only the discriminator", min=0, max=1
    )
    discriminator_steps: int = option(
        1, "discriminator steps per generator step; 0: train it only in its warm-up", min=0
    )
    interleave: int = option(0, "add one step of maximum likelihood after every N adversarial rounds; 0: none", min=0)
    anchor: float = option(
        0.0, "weight of KL(generator || generator before adversarial training), exact for the next word", min=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup + self.discriminator_warmup >= 1:
            raise OptionError(
                f"warmup {self.warmup} and discriminator-warmup {self.discriminator_warmup} "
                "leave no step in which the networks train against each other; wanted a sum below 1: lower one of "
                "them, or choose --algorithm mle"
            )


class DiscriminatorOptions(Options):
    corruption: float = option(
        0.0, "share of damaged real text in the place of samples; 1: it learns from damage alone", min=0, max=1
    )


class AdversarialOptions(ScheduleOptions):
    corruption: float = option(
        0.0,
        "share of damaged real text in the discriminator's loss until adversarial training starts; then it falls to 0",
        min=0,
        max=1,
    )
    pool: int = option(
        0,
        "number of the generator's newest samples that the discriminator learns from, instead of samples drawn for it; "
        "0: draw them",
        min=0,
    )
    shuffle: bool = option(
        False,
        "control: give each sentence the discriminator's verdict on another sentence of its batch",
    )
    mismatched: float = option(
        0.0,
        "share of real text with a wrong label among the text that the discriminator learns to reject (Reed et al. "
        "2016); needs labels",
        min=0,
        max=1,
    )


class RankGANOptions(ScheduleOptions):
    gamma: float = option(1.0, "factor of the relevance in the ranking softmax", min=0)


class CatGANOptions(ScheduleOptions):
    shift: float = option(
        0.1, "step back in the annealing that a mutation takes, as a share of all; 0: none", min=0, max=1
    )
    diversity: float = option(0.05, "weight of the samples' entropy, in nats per token, in the fitness", min=0)
    child_step: float = option(0.05, "length of the step from the generator to a child", min=0.000001)


class CoTOptions(Options):
    warmup: float = option(
        0.0, "fraction of the steps, at the start, that train the generator by maximum likelihood", min=0, max=0.99
    )
    mediators: int = option(1, "mediators; the generator follows their mean", min=1)
    mediator_steps: int = option(1, "steps of each mediator per generator step", min=1)
    divergence: str = option(
        "reverse-kl",
        "divergence of the next word from the mediators, exact",
        choices=("reverse-kl", "forward-kl", "jensen-shannon", "skewed"),
    )


class RegexOptions(RewardOptions):
    pattern: str = option(".", "regular expression of Python that is searched for in a text")

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise OptionError(f"pattern is {self.pattern!r}, no regular expression ({error}); correct it") from None


class LengthOptions(RewardOptions):
    shortest: int = option(1, "shortest text with reward 1", min=0)
    longest: int = option(10, "longest text with reward 1", min=0)
    unit: str = option("word", "unit of the lengths", choices=("word", "character"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.longest:
            raise OptionError(f"shortest is {self.shortest}, above longest ({self.longest}); lower it")


class ValidityOptions(RewardOptions):
    corpus: str = option("grammar", "corpus with an exact process, such as grammar or passwords")


class ClassifierOptions(RewardOptions):
    path: str = option("", "bundle, run, zoo:NAME or hf:OWNER/NAME@REVISION, calibrated or with labels")
    label: str = option("", "pay the probability of this label instead; needs a bundle with labels")
