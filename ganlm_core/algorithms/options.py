"""Options of the built-in losses, penalties, estimators and algorithms."""

from ganlm_core.components import Options, option
from ganlm_core.errors import OptionError


class NonSaturatingOptions(Options):
    smoothing: float = option(0.0, "one-sided label smoothing: real data count as 1 - smoothing", min=0, max=0.5)


class PenaltyOptions(Options):
    weight: float = option(1.0, "factor of the penalty in the discriminator's loss", min=0)
    interval: int = option(
        1, "penalise at every so many steps, that much more (Karras et al. 2020, section 3.1)", min=1
    )


class WGANGPOptions(PenaltyOptions):
    weight: float = option(10.0, "factor of the penalty in the discriminator's loss", min=0)


class GumbelOptions(Options):
    temperature: float = option(1.0, "temperature of the softmax at the first adversarial step", min=0.001)
    final_temperature: float = option(0.2, "temperature at the last step; geometric in between", min=0.001)
    feed: str = option(
        "relaxed",
        "what an autoregressive generator goes on from: relaxed words, or the drawn ones (Nie et al. 2019)",
        choices=("relaxed", "drawn"),
    )


class StraightThroughOptions(Options):
    temperature: float = option(1.0, "temperature of the softmax that stands in for the gradient", min=0.001)


class SoftmaxOptions(Options):
    temperature: float = option(1.0, "temperature of the softmax that the discriminator is shown", min=0.001)


class ReinforceOptions(Options):
    reward: str = option(
        "sequence",
        "what a token is paid: its sequence's reward, or its own and the discounted later ones",
        choices=("sequence", "position"),
    )
    discount: float = option(1.0, "factor by which a later position counts less", min=0, max=1)
    baseline: str = option(
        "leave-one-out", "what is taken from the reward", choices=("none", "moving-average", "leave-one-out")
    )
    decay: float = option(0.9, "decay of the moving average", min=0, max=1)
    entropy: float = option(0.0, "weight of the generator's entropy, added to its reward", min=0)
    samples: int = option(1, "sequences drawn for each noise vector", min=1)


class RolloutOptions(Options):
    samples: int = option(16, "completions drawn for each prefix", min=1)
    baseline: str = option(
        "leave-one-out", "what is taken from the reward", choices=("none", "moving-average", "leave-one-out")
    )
    decay: float = option(0.9, "decay of the moving average", min=0, max=1)
    rank: float = option(
        0.0, "sharpness of rewards by rank in the batch (Guo et al. 2018); 0: rewards as they are", min=0
    )
    chunk: int = option(4096, "most rollouts drawn and scored at once; bounds the memory", min=1)


class ImportanceOptions(Options):
    baseline: float = option(
        0.0, "what is taken from each weight, as a share of the mean weight; 1 makes them sum to zero", min=0
    )
    temperature: float = option(1.0, "temperature at which the generator proposes samples", min=0.001)
    prefix: float = option(
        0.0,
        "share of a real sequence that samples go on from at the first adversarial step, falling to none",
        min=0,
        max=1,
    )


class AdversarialOptions(Options):
    warmup: float = option(0.0, "share of the steps that train the generator by maximum likelihood first", min=0, max=1)
    discriminator_warmup: float = option(
        0.0, "share of the steps, after that, that train only the discriminator", min=0, max=1
    )
    discriminator_steps: int = option(1, "steps of the discriminator for each of the generator", min=1)
    interleave: int = option(0, "rounds between two steps of maximum likelihood amid them; 0 for none", min=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup + self.discriminator_warmup >= 1:
            raise OptionError(
                f"warmup {self.warmup} and discriminator-warmup {self.discriminator_warmup} "
                "leave no step in which the networks train against each other; wanted a sum below 1: lower one of "
                "them, or choose --algorithm mle"
            )


class RankGANOptions(AdversarialOptions):
    gamma: float = option(1.0, "factor of the relevance in the softmax that ranks", min=0)


class CoTOptions(Options):
    mediator_steps: int = option(1, "steps of the mediator for each of the generator", min=1)
