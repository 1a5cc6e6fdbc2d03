"""A sentence for each figure of a run: what it shows, which way is better, and what to do if it looks wrong.

The report and the live page both take them from here. Nothing here imports torch.
"""

from collections.abc import Iterable

CAPTIONS = {
    "losses": (
        "Loss of each phase. A falling maximum likelihood loss is better; adversarial losses balance each other "
        "and say little alone. If the discriminator's loss stays at zero and the samples do not improve, lower its "
        "learning rate."
    ),
    "gradient_norms": (
        "Size of the gradients before clipping. Steady is better; if they grow without end, lower the learning "
        "rate or --clip."
    ),
    "accuracy": (
        "Share of a training batch that the discriminator classifies correctly. 50% is chance. A high accuracy is no "
        "fault while the samples improve; if it is near 100% and they do not, lower the discriminator's learning rate."
    ),
    "discriminator_accuracy": (
        "Share of validation sentences and new samples that the discriminator classifies correctly. Compare it "
        "with the accuracy in training: if it is much lower, the discriminator has memorised the training text."
    ),
    "discriminator_auc": (
        "Share of pairs of a real sentence and a sample in which the discriminator prefers the real one. At 0.5 "
        "it is blind, or the generator perfect."
    ),
    "discriminator_valid_auc": (
        "Share of pairs of a valid and an invalid sample in which the discriminator prefers the valid one. Higher is "
        "better; at 0.5 it sees no errors, so the generator cannot learn from it to avoid them."
    ),
    "best_accuracy": (
        "The accuracy of the best possible discriminator, 1/2 + TV/2. The nearer to 50%, the less is left to see."
    ),
    "tv": (
        "Total variation distance between the generator and the exact process. Lower is better; 0 is a perfect "
        "generator. With noise it is an upper bound."
    ),
    "entropy": (
        "Entropy of the generator's choice of words, in nats per token. Falling a little is normal; if it falls "
        "towards zero, the generator repeats itself: raise --estimator.entropy or use --on-collapse rollback."
    ),
    "rewards": (
        "Mean of each reward of texts over the samples of a step, and of the discriminator's. If one rises while "
        "distinct falls, the generator repeats what is paid: lower --reward-weight."
    ),
    "distance_from_start": (
        "How far the generator has gone from its first weights, or from its warm-up: the KL divergence of a sentence, "
        "in nats. If it grows without end, raise --algorithm.anchor or lower the learning rate."
    ),
    "reward": ("Reward from the discriminator. Higher is better only if the discriminator does not get weaker."),
    "reward_variance": "Variance of the rewards in a batch. At zero the generator learns nothing from them.",
    "valid": (
        "Share of sentences that the corpus's process can give. Higher is better, as long as distinct stays high."
    ),
    "process_nll": (
        "Negative log-likelihood of the valid sentences under the process, in nats. Near the line of real text is "
        "best; below it, the generator keeps to short and common sentences."
    ),
    "quality_against_diversity": (
        "A point for each evaluation, with its step. Lower is nearer to real text, further right is more varied. "
        "A path straight to the left is a collapse."
    ),
    "distinct": (
        "Share of different sentences. Near the line of real text is best; if it falls, the generator has collapsed."
    ),
    "distinct_bigrams": "Different pairs of neighbouring words. If it falls, the generator repeats itself.",
    "copied": (
        "Share of sentences found in the training text. Near the share that is expected by chance is best; far "
        "above it, the generator has memorised: use --keep best, more text or a smaller network."
    ),
    "validation_nll": (
        "Negative log-likelihood of the validation split under the generator, in nats per token. Lower is better; if "
        "it rises, the generator forgets or memorises: use --keep best."
    ),
    "bigram_divergence": "Distance between the word pairs of samples and of validation text. Lower is better.",
    "tokens": "Tokens of real text that were read so far.",
}
"""By the name of a figure, in the order in which a reader needs them."""

OF_TEXTS = (
    "Mean reward of the samples. Far above the line of real text, the generator pleases the reward and not a reader: "
    "compare distinct."
)
ANY = "A number of this method, by step."


def caption_of(name: str) -> str:
    """Return the caption of a figure; a general one for a reward, and for the numbers of a plugin's method."""
    return CAPTIONS.get(name, OF_TEXTS if name.startswith("reward.") else ANY)


def in_order(names: Iterable[str]) -> list[str]:
    """Return the names of figures in the order of CAPTIONS; the others follow by name."""
    places = {name: place for place, name in enumerate(CAPTIONS)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))
