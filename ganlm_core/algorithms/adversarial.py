"""Generator against discriminator (Goodfellow et al. 2014, Alg. 1), after a warm-up by maximum likelihood.

The loss, the penalty and the estimator are chosen by the configuration, so this file covers every classic text GAN.
"""

import torch
from torch import Tensor

from ganlm_core.algorithms.corruption import with_errors
from ganlm_core.algorithms.mismatched import mismatched, require_labels
from ganlm_core.algorithms.options import AdversarialOptions
from ganlm_core.algorithms.penalties import relaxed
from ganlm_core.algorithms.pool import Pool, check_pool
from ganlm_core.algorithms.schedule import ScheduledAlgorithm
from ganlm_core.errors import UsageError
from ganlm_core.protocol import (
    Batch,
    Cost,
    Estimator,
    NextWordCost,
    Parts,
    Phase,
    Sequences,
    conditions_of,
    mask_of,
    per_sequence,
)
from ganlm_core.sampling import LikelihoodRatio
from ganlm_core.sampling.conditions import labelled, unconditional


def discriminator_loss(
    parts: Parts, batch: Batch, wrong: float = 0.0, damaged: float = 0.0, pool: Pool | None = None
) -> Tensor:
    """Return the discriminator's loss on real and generated sequences, penalty included.

    ``wrong``: the share of real sequences with a wrong label among what is to be rejected. ``damaged``: the
    share of rows whose generated sequence is replaced by the real one with an error in it. ``pool``: has the generated
    sequences; without one, they are drawn.
    """
    real = Sequences(batch.tokens, batch.mask)
    generated = parts.estimator.draw(parts.generator, batch) if pool is None else pool.draw(parts, batch)
    if damaged > 0:
        generated = with_errors(parts.generator, batch, generated, damaged)
    real_logits, generated_logits = _logits_of_both(parts, real, generated)
    verdicts = per_sequence(real_logits, real.mask), per_sequence(generated_logits, generated.mask)
    batch.log("accuracy", accuracy(*verdicts, threshold=parts.loss.threshold))
    loss = _cost(parts, real_logits, real.mask, generated_logits, generated.mask)
    if wrong > 0:
        loss = torch.lerp(loss, _mismatched_cost(parts, batch, real_logits), wrong)
    if parts.penalty.interval == 0 or batch.step % parts.penalty.interval != 0:
        return loss
    vocabulary = parts.discriminator.shape.vocabulary
    dense = (Sequences(relaxed(each.sequence, vocabulary), each.mask) for each in (real, generated))
    return loss + parts.penalty.interval * parts.penalty(parts.discriminator, *dense)


def _cost(parts: Parts, real: Tensor, real_mask: Tensor, rejected: Tensor, mask: Tensor) -> Tensor:
    """Return the discriminator's cost of logits of real and of other sequences, the sum of the means of both."""
    real_cost, cost = parts.loss.discriminator(real, rejected)
    return per_sequence(real_cost, real_mask).mean() + per_sequence(cost, mask).mean()


def _mismatched_cost(parts: Parts, batch: Batch, real_logits: Tensor) -> Tensor:
    """Return the discriminator's cost if real sequences with a wrong label are in the place of generated ones."""
    with conditions_of(mismatched(batch, parts.discriminator.shape.labels)):
        logits = _logits(parts, Sequences(batch.tokens, batch.mask))
    right, wrong = (per_sequence(each, batch.mask) for each in (real_logits, logits))
    batch.log("label_accuracy", accuracy(right, wrong))
    return _cost(parts, real_logits, batch.mask, logits, batch.mask)


def generator_loss(parts: Parts, batch: Batch, shuffle: bool = False, pool: Pool | None = None) -> Tensor:
    """Return the estimator's surrogate loss for the generator's cost.

    ``shuffle``: as a control, the cost of each sequence is that of another sequence of the batch. ``pool``: keeps the
    sequences.
    """
    cost = (next_word_cost if parts.estimator.next_words else generator_cost)(parts, batch, shuffle)
    return parts.estimator(parts.generator, batch, cost if pool is None else pool.keeping(parts, cost))


def shuffled(cost: Cost) -> Cost:
    """Return the cost with its rows in a random order in which none keeps its own. It becomes one per sequence."""

    def other_rows(sequence: Tensor, beside: Tensor) -> Tensor:
        found = cost(sequence, beside)
        if found.dim() == 2:  # (N, T) over the mask of its own row
            found = per_sequence(found, beside)
        order = torch.randperm(len(found), device=found.device)
        return torch.empty_like(found).index_copy(0, order, found[order.roll(1)])

    return other_rows


def generator_cost(parts: Parts, batch: Batch, shuffle: bool = False) -> Cost:
    """Return the function that computes the generator's cost of sequences from the discriminator's logits.

    ``shuffle``: the discriminator's part of the cost is that of another sequence; rewards stay with their texts.

    A paired loss compares each generated sequence with a real one of the batch. The discriminator stays in training
    mode, so its dropout is on, as when it learns. The cost of a sequence is then random, and an unbiased estimator is
    unbiased for its mean.
    """
    rows = batch.tokens.shape[0]
    real = batch.noise.new_zeros(rows)
    if parts.loss.paired:
        with torch.no_grad():
            real = _logits(parts, Sequences(batch.tokens, batch.mask))

    def cost(sequence: Tensor, mask: Tensor) -> Tensor:
        logits = _logits(parts, Sequences(sequence, mask))
        return parts.loss.generator(logits, real.repeat(logits.shape[0] // rows) if parts.loss.paired else real)

    return parts.pay(shuffled(cost) if shuffle else cost, batch)


def next_word_cost(parts: Parts, batch: Batch, shuffle: bool = False) -> NextWordCost:
    """Return the function that computes the loss on the likelihood ratio of each word after each prefix."""
    model = unconditional(parts.discriminator)
    assert isinstance(model, LikelihoodRatio)

    def cost(tokens: Tensor, own: Tensor) -> Tensor:
        if batch.labels is not None:
            tokens, _ = labelled(tokens, mask_of(tokens), batch.labels, parts.discriminator.shape)
        ratios = model.next_words(tokens) - own
        return parts.loss.generator(ratios, torch.zeros_like(ratios[..., :1]))

    return shuffled(cost) if shuffle else cost


def require_shuffling(estimator: Estimator) -> None:
    """Raise UsageError if a shuffled cost would train as the cost itself does, or has no meaning."""
    if estimator.relaxes or estimator.per_position_only:
        why = "pays each position its own logit" if estimator.per_position_only else "takes the mean of all costs"
        raise UsageError(
            f"--algorithm.shuffle gives each sentence the verdict on another one, and this estimator {why}; choose "
            "--estimator reinforce, or leave it out"
        )


def require_whole_texts(parts: Parts) -> None:
    """Raise UsageError if a reward of texts would be paid to an estimator that pays positions."""
    if parts.rewarded is not None and parts.estimator.per_position_only:
        raise UsageError(
            "a reward pays whole texts, and this estimator pays each position its own logit; choose "
            "--estimator.reward sequence, or leave out --reward"
        )


def require_language_model(parts: Parts) -> None:
    """Raise UsageError if the estimator needs the cost of every word and the parts do not give it."""
    if not parts.estimator.next_words:
        return
    network = unconditional(parts.discriminator)
    if not isinstance(network, LikelihoodRatio):
        raise UsageError(
            f"--estimator next-word asks for the cost of every next word, and {type(network).__name__} judges whole "
            "sequences; choose a language model as the discriminator, such as --disc lstm-lm, or another --estimator"
        )
    if not network.exact:
        raise UsageError(
            "--estimator next-word needs the generator's exact likelihood, and this generator reads noise; "
            "set --noise-size 0"
        )
    if parts.rewarded is not None:
        raise UsageError("--estimator next-word pays words, and a reward pays texts; choose --estimator reinforce")
    if parts.loss.paired:
        raise UsageError("--estimator next-word needs a loss on single logits; choose --loss reverse-kl")


def likelihood_of_discriminator(parts: Parts, batch: Batch) -> Tensor:
    """Return -log p(x) of real text under a discriminator that is a language model, in nats per token."""
    model = unconditional(parts.discriminator)
    assert isinstance(model, LikelihoodRatio)
    tokens, mask = batch.tokens, batch.mask
    if batch.labels is not None:
        tokens, mask = labelled(tokens, mask, batch.labels, parts.discriminator.shape)
    return model.negative_log_likelihood(tokens, mask)


def _logits_of_both(parts: Parts, real: Sequences, generated: Sequences) -> tuple[Tensor, Tensor]:
    """Return the logits of both, in one call if the network allows it: one call takes a tenth less time than two."""
    if not parts.discriminator.rowwise or generated.sequence.shape != real.sequence.shape:
        return _logits(parts, real), _logits(parts, generated)
    both = Sequences(torch.cat([real.sequence, generated.sequence]), torch.cat([real.mask, generated.mask]))
    real_logits, generated_logits = _logits(parts, both).chunk(2)
    return real_logits, generated_logits


def _logits(parts: Parts, sequences: Sequences) -> Tensor:
    network = parts.discriminator
    logits: Tensor = network(sequences.sequence, sequences.mask).float()
    return network.per_sequence(logits, sequences.mask) if parts.loss.paired or network.summed else logits


@torch.no_grad()
def accuracy(real: Tensor, generated: Tensor, *, threshold: float | None = None) -> Tensor:
    """Return the discriminator's accuracy on logits (B,) of real and generated sequences.

    Without the ``threshold`` of a loss, it is the midpoint between the means of both, because the logits of some losses
    (Wasserstein) have no fixed origin.
    """
    limit = (real.mean() + generated.mean()) / 2 if threshold is None else threshold
    return ((real > limit).float().mean() + (generated <= limit).float().mean()) / 2


class Adversarial(ScheduledAlgorithm):
    """A discriminator phase and a generator phase, in the order of a schedule.

    A discriminator that is a language model warms up by maximum likelihood, others by telling real from generated text.
    """

    pays = True
    next_words = True

    def __init__(self, parts: Parts, options: AdversarialOptions) -> None:
        require_labels(parts, options.mismatched)
        require_language_model(parts)
        require_whole_texts(parts)
        if options.shuffle:
            require_shuffling(parts.estimator)
        judging = Phase("discriminator", "discriminator", self._discriminator_loss)
        modelling = Phase("discriminator_mle", "discriminator", lambda batch: likelihood_of_discriminator(parts, batch))
        language_model = isinstance(unconditional(parts.discriminator), LikelihoodRatio)
        super().__init__(
            parts,
            options,
            judging,
            generator=[Phase("generator", "generator", self._generator_loss)],
            preparation=modelling if language_model else None,
        )
        self.options = options
        self.pool = self._pool() if options.pool else None

    def _pool(self) -> Pool:
        check_pool(self.parts, self.options.discriminator_steps)
        return Pool(self.options.pool, self.parts.discriminator.shape.length, self.adversarial_from)

    def _discriminator_loss(self, batch: Batch) -> Tensor:
        most = self.options.corruption
        damaged = most * (1 - batch.progress) if most else 0.0  # a compiled phase is traced anew for what it compares
        return discriminator_loss(self.parts, batch, self.options.mismatched, damaged, self.pool)

    def _generator_loss(self, batch: Batch) -> Tensor:
        return generator_loss(self.parts, batch, self.options.shuffle, self.pool)
