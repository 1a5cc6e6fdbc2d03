"""Register the built-in losses, penalties, estimators, algorithms, rewards and recipes, as a plugin does."""

from collections.abc import Iterator
from pathlib import Path

from ganlm_core.algorithms.options import (
    AdversarialOptions,
    CatGANOptions,
    ClassifierOptions,
    ClippedOptions,
    CoTOptions,
    DiscriminatorOptions,
    GumbelOptions,
    ImportanceOptions,
    LengthOptions,
    NonSaturatingOptions,
    PenaltyOptions,
    RankGANOptions,
    RatioOptions,
    RegexOptions,
    ReinforceOptions,
    RolloutOptions,
    ScheduleOptions,
    SoftmaxOptions,
    StraightThroughOptions,
    ValidityOptions,
    WGANGPOptions,
)
from ganlm_core.components import ComponentSpec, NoOptions, Options
from ganlm_core.hookspecs import hookimpl


def _loss(name: str, target: str, summary: str, source: str, options: type[Options] = NoOptions) -> ComponentSpec:
    return ComponentSpec("loss", name, f"ganlm_core.algorithms.losses:{target}", options, summary, source)


def _penalty(name: str, target: str, summary: str, source: str, options: type[Options] = NoOptions) -> ComponentSpec:
    return ComponentSpec("penalty", name, f"ganlm_core.algorithms.penalties:{target}", options, summary, source)


def _estimator(name: str, target: str, options: type[Options], summary: str, source: str) -> ComponentSpec:
    return ComponentSpec("estimator", name, f"ganlm_core.algorithms.{target}", options, summary, source)


LOSSES = (
    _loss(
        "non-saturating",
        "NonSaturating",
        "binary cross-entropy; generator cost -log D(x)",
        "Goodfellow et al. 2014, section 3",
        options=NonSaturatingOptions,
    ),
    _loss(
        "probability",
        "Probability",
        "binary cross-entropy; generator reward D(x)",
        "Yu et al. 2017, Alg. 1",
        options=NonSaturatingOptions,
    ),
    _loss(
        "centred-probability",
        "CentredProbability",
        "binary cross-entropy; generator reward 2 D(x) - 1, which is 0 at chance",
        "de Masson d'Autume et al. 2019",
        options=NonSaturatingOptions,
    ),
    _loss(
        "reverse-kl",
        "ReverseKL",
        "binary cross-entropy; generator cost log((1 - D)/D), which estimates KL(p_generator || p_data)",
        "Sonderby et al. 2017",
        options=RatioOptions,
    ),
    _loss(
        "forward-kl",
        "ForwardKL",
        "binary cross-entropy; generator cost -D/(1 - D), with the gradient of KL(p_data || p_generator)",
        "Nowozin et al. 2016, table 6; Che et al. 2017, section 3.1",
        options=RatioOptions,
    ),
    _loss("hinge", "Hinge", "hinge loss with margin 1", "Lim & Ye 2017; Miyato et al. 2018, eq. 16-17"),
    _loss("least-squares", "LeastSquares", "squared distance to the labels 1 and 0", "Mao et al. 2017, eq. 9"),
    _loss(
        "wasserstein", "Wasserstein", "difference of the mean logits; needs a penalty", "Arjovsky et al. 2017, eq. 2"
    ),
    _loss(
        "relativistic",
        "Relativistic",
        "compare each real logit with a generated one",
        "Jolicoeur-Martineau 2019, eq. 8-9",
    ),
)

PENALTIES = (
    _penalty("none", "NoPenalty", "no penalty", ""),
    _penalty(
        "wgan-gp",
        "WGANGP",
        "pull the gradient norm to 1 between real and generated data",
        "Gulrajani et al. 2017, eq. 3",
        options=WGANGPOptions,
    ),
    _penalty("r1", "R1", "squared gradient norm on real data", "Mescheder et al. 2018, eq. 9", options=PenaltyOptions),
    _penalty(
        "r2", "R2", "squared gradient norm on generated data", "Mescheder et al. 2018, eq. 10", options=PenaltyOptions
    ),
    _penalty(
        "r1-r2",
        "R1R2",
        "squared gradient norm on real and generated data",
        "Huang et al. 2024, section 2.2",
        options=PenaltyOptions,
    ),
)

ESTIMATORS = (
    _estimator(
        "gumbel",
        "relaxations:Gumbel",
        GumbelOptions,
        "Gumbel-softmax with annealed temperature",
        "Jang et al. 2017, eq. 2; Maddison et al. 2017",
    ),
    _estimator(
        "straight-through",
        "relaxations:StraightThrough",
        StraightThroughOptions,
        "one-hot samples forward, softmax gradient backward",
        "Bengio et al. 2013; Jang et al. 2017, section 2.2",
    ),
    _estimator(
        "reinforce",
        "policy_gradients:Reinforce",
        ReinforceOptions,
        "score function (policy gradient) with a baseline",
        "Williams 1992; Kool et al. 2019 (leave-one-out)",
    ),
    _estimator(
        "clipped",
        "policy_gradients:Clipped",
        ClippedOptions,
        "score function with several generator steps on the same samples, and clipped ratios of probabilities",
        "Schulman et al. 2017, eq. 7",
    ),
    _estimator(
        "rollout",
        "policy_gradients:Rollout",
        RolloutOptions,
        "score function with Monte Carlo rollouts of each prefix",
        "Yu et al. 2017, eq. 4-6",
    ),
    _estimator(
        "next-word",
        "next_word:NextWord",
        NoOptions,
        "exact expectation over the next word; needs a language model as the discriminator",
        "Lu et al. 2019, section 3.3",
    ),
    _estimator(
        "softmax",
        "relaxations:Softmax",
        SoftmaxOptions,
        "the softmax instead of samples",
        "Gulrajani et al. 2017, section 5.4",
    ),
    _estimator(
        "importance",
        "importance:Importance",
        ImportanceOptions,
        "maximum likelihood on generated samples, weighted by exp(-cost)",
        "Che et al. 2017, Alg. 1; Lamprier et al. 2022",
    ),
)

ALGORITHMS = (
    ComponentSpec(
        "algorithm",
        "adversarial",
        "ganlm_core.algorithms.adversarial:Adversarial",
        AdversarialOptions,
        "generator against discriminator, after a maximum likelihood warm-up",
        "Goodfellow et al. 2014, Alg. 1",
    ),
    ComponentSpec(
        "algorithm",
        "mle",
        "ganlm_core.algorithms.mle:MLE",
        summary="maximum likelihood; no discriminator",
        source="Bengio et al. 2003, section 2",
    ),
    ComponentSpec(
        "algorithm",
        "rankgan",
        "ganlm_core.algorithms.rankgan:RankGAN",
        RankGANOptions,
        "a ranker compares texts by their features; uses no loss and no penalty",
        "Lin et al. 2017, eq. 1-7",
    ),
    ComponentSpec(
        "algorithm",
        "sentigan",
        "ganlm_core.algorithms.sentigan:SentiGAN",
        ScheduleOptions,
        "a discriminator of a class for each label and one for generated text; penalties instead of rewards",
        "Wang & Wan 2018, eq. 1-6",
    ),
    ComponentSpec(
        "algorithm",
        "catgan",
        "ganlm_core.algorithms.catgan:CatGAN",
        CatGANOptions,
        "relativistic loss of each label and of all; the generator takes the fittest of several mutations",
        "Liu et al. 2020, Alg. 1",
    ),
    ComponentSpec(
        "algorithm",
        "cot",
        "ganlm_core.algorithms.cot:CoT",
        CoTOptions,
        "a mediator learns the mixture of data and generator, the generator follows it; no discriminator",
        "Lu et al. 2019, Alg. 1",
    ),
    ComponentSpec(
        "algorithm",
        "discriminator",
        "ganlm_core.algorithms.discriminator:DiscriminatorAlone",
        DiscriminatorOptions,
        summary="the discriminator alone, against a generator that stays as it is",
        source="Goodfellow et al. 2014, Alg. 1 (the inner loop)",
    ),
)

REWARDS = (
    ComponentSpec(
        "reward",
        "regex",
        "ganlm_core.algorithms.text_rewards:Regex",
        RegexOptions,
        "1 for a text that has a pattern, else 0",
    ),
    ComponentSpec(
        "reward",
        "length",
        "ganlm_core.algorithms.text_rewards:Length",
        LengthOptions,
        "1 for a length within the bounds, less outside them",
    ),
    ComponentSpec(
        "reward",
        "validity",
        "ganlm_core.algorithms.text_rewards:Validity",
        ValidityOptions,
        "1 for a text that the process of a corpus can give, else 0",
    ),
    ComponentSpec(
        "reward",
        "classifier",
        "ganlm_core.bundle.classifier:Classifier",
        ClassifierOptions,
        "probability that a text is real, by the discriminator of a bundle",
        exceptions={"check_defaults": "it needs the path of a bundle"},
    ),
)


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield from (*LOSSES, *PENALTIES, *ESTIMATORS, *ALGORITHMS, *REWARDS)


@hookimpl
def ganlm_recipes() -> Iterator[Path]:
    yield from sorted((Path(__file__).parent / "recipes").glob("*.toml"))
