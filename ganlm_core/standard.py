"""The components that come with the core, registered through the same door as everybody's."""

from collections.abc import Iterator
from pathlib import Path

from ganlm_core.components import ComponentSpec, NoOptions, Options, option
from ganlm_core.errors import OptionError
from ganlm_core.hookspecs import hookimpl
from ganlm_core.measures import ENCODERS, METRICS


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


class GrammarOptions(Options):
    size: int = option(20_000, "sentences drawn; nine tenths train, the rest validate and test", min=100)
    seed: int = option(0, "seed of the drawing", min=0)


class PasswordsOptions(Options):
    size: int = option(20_000, "passwords drawn; nine tenths train, the rest validate and test", min=100)
    seed: int = option(0, "seed of the drawing", min=0)


class OracleOptions(Options):
    size: int = option(10_000, "sequences drawn; nine tenths train, the rest validate and test", min=100)
    seed: int = option(0, "seed of the weights and of the drawing", min=0)
    weights: str = option("", "safetensors file with somebody's oracle, instead of drawn weights")
    vocabulary: int = option(5000, "words of a drawn oracle", min=2)
    length: int = option(20, "tokens in every sequence", min=1)


class FileOptions(Options):
    path: str = option("", "text (a sentence a line), CSV or JSONL; - for standard input")
    column: str = option("text", "column of a CSV file, key of a JSONL file")


def _loss(name: str, target: str, summary: str, source: str, options: type[Options] = NoOptions) -> ComponentSpec:
    return ComponentSpec("loss", name, f"ganlm_core.losses:{target}", options, summary, source)


def _penalty(name: str, target: str, summary: str, source: str, options: type[Options] = NoOptions) -> ComponentSpec:
    return ComponentSpec("penalty", name, f"ganlm_core.penalties:{target}", options, summary, source)


def _estimator(name: str, target: str, options: type[Options], summary: str, source: str) -> ComponentSpec:
    return ComponentSpec("estimator", name, f"ganlm_core.estimators:{target}", options, summary, source)


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield _loss(
        "non-saturating",
        "NonSaturating",
        "-E[log D(G(z))] and binary cross-entropy",
        "Goodfellow et al. 2014, section 3",
        options=NonSaturatingOptions,
    )
    yield _loss(
        "probability",
        "Probability",
        "the generator is paid D(x); binary cross-entropy",
        "Yu et al. 2017, Alg. 1",
        options=NonSaturatingOptions,
    )
    yield _loss(
        "reverse-kl",
        "ReverseKL",
        "KL(p_generator || p_data) at the best discriminator; binary cross-entropy",
        "Sonderby et al. 2017",
        options=NonSaturatingOptions,
    )
    yield _loss("hinge", "Hinge", "margins of one", "Lim & Ye 2017; Miyato et al. 2018, eq. 16-17")
    yield _loss("least-squares", "LeastSquares", "squared distance to the labels", "Mao et al. 2017, eq. 9")
    yield _loss("wasserstein", "Wasserstein", "difference of means; wants a penalty", "Arjovsky et al. 2017, eq. 2")
    yield _loss(
        "relativistic",
        "Relativistic",
        "is the real one more real than the generated one",
        "Jolicoeur-Martineau 2019, eq. 8-9",
    )

    yield _penalty("none", "NoPenalty", "no regulariser", "")
    yield _penalty(
        "wgan-gp",
        "WGANGP",
        "gradient norm of one between real and generated",
        "Gulrajani et al. 2017, eq. 3",
        options=WGANGPOptions,
    )
    yield _penalty("r1", "R1", "squared gradient on real data", "Mescheder et al. 2018, eq. 9", options=PenaltyOptions)
    yield _penalty(
        "r2", "R2", "squared gradient on generated data", "Mescheder et al. 2018, eq. 10", options=PenaltyOptions
    )
    yield _penalty(
        "r1-r2", "R1R2", "squared gradient on both", "Huang et al. 2024, section 2.2", options=PenaltyOptions
    )

    yield _estimator(
        "gumbel", "Gumbel", GumbelOptions, "Gumbel-softmax, annealed", "Jang et al. 2017, eq. 2; Maddison et al. 2017"
    )
    yield _estimator(
        "straight-through",
        "StraightThrough",
        StraightThroughOptions,
        "hard samples forward, softmax backward",
        "Bengio et al. 2013; Jang et al. 2017, section 2.2",
    )
    yield _estimator(
        "reinforce",
        "Reinforce",
        ReinforceOptions,
        "score function with a baseline",
        "Williams 1992; Kool et al. 2019 (leave-one-out)",
    )
    yield _estimator(
        "rollout", "Rollout", RolloutOptions, "score function with Monte Carlo action values", "Yu et al. 2017, eq. 4-6"
    )

    yield _estimator(
        "softmax", "Softmax", SoftmaxOptions, "the softmax itself, no sampling", "Gulrajani et al. 2017, section 5.4"
    )
    yield _estimator(
        "importance",
        "Importance",
        ImportanceOptions,
        "likelihood of own samples, weighted by exp(-cost)",
        "Che et al. 2017, Alg. 1; Lamprier et al. 2022",
    )

    yield ComponentSpec(
        "algorithm",
        "adversarial",
        "ganlm_core.algorithms.adversarial:Adversarial",
        AdversarialOptions,
        "generator against discriminator, after a warm-up by mle",
        "Goodfellow et al. 2014, Alg. 1",
    )
    yield ComponentSpec(
        "algorithm",
        "mle",
        "ganlm_core.algorithms.mle:MLE",
        summary="maximum likelihood, no discriminator",
        source="Bengio et al. 2003, section 2",
    )

    yield ComponentSpec(
        "algorithm",
        "rankgan",
        "ganlm_core.algorithms.rankgan:RankGAN",
        RankGANOptions,
        "a ranker compares texts by their features; neither loss nor penalty",
        "Lin et al. 2017, eq. 1-7",
    )
    yield ComponentSpec(
        "algorithm",
        "cot",
        "ganlm_core.algorithms.cot:CoT",
        CoTOptions,
        "a mediator learns the mixture, the generator follows it; no discriminator",
        "Lu et al. 2019, Alg. 1",
    )

    yield from METRICS
    yield from ENCODERS

    yield ComponentSpec(
        "corpus",
        "grammar",
        "ganlm_core.corpora.grammar:grammar_corpus",
        GrammarOptions,
        "English sentences with number agreement; exact likelihood",
    )
    yield ComponentSpec(
        "corpus",
        "passwords",
        "ganlm_core.corpora.passwords:passwords_corpus",
        PasswordsOptions,
        "a word and what people put behind it, for --tokenizer char; exact likelihood",
    )
    yield ComponentSpec(
        "corpus",
        "oracle",
        "ganlm_core.corpora.oracle:oracle_corpus",
        OracleOptions,
        "random LSTM; exact likelihood",
        "Yu et al. 2017, section 4.1",
        exceptions={"check_smallest": "one word of two makes two sentences, too few to set some aside"},
    )
    yield ComponentSpec(
        "corpus",
        "file",
        "ganlm_core.corpora.files:file_corpus",
        FileOptions,
        "your own text, CSV or JSONL",
        exceptions={"check_defaults": "it reads the file that the user names"},
    )


@hookimpl
def ganlm_recipes() -> Iterator[Path]:
    yield from sorted((Path(__file__).parent / "recipes").glob("*.toml"))
