"""A loaded bundle: it samples sentences with its generator and scores them with its discriminator."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, SupportsFloat, SupportsIndex

import torch
from torch import Tensor

from ganlm_core.bundle.arguments import ids
from ganlm_core.bundle.attribution import leave_one_out
from ganlm_core.bundle.calibration import Calibration, fit
from ganlm_core.bundle.labels import Labels
from ganlm_core.bundle.manifest import Manifest
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import DataError, GanlmError, NonFinite, OutOfMemory, UsageError
from ganlm_core.protocol import Discriminator, Generator, Shape, mask_of, with_labels
from ganlm_core.sampling import PLAIN, Policy, log_marginal, sample
from ganlm_core.sampling.conditions import read_labelled
from ganlm_core.system import arguments
from ganlm_core.system.arguments import instance, string, strings, whole
from ganlm_core.system.devices import plain_torch
from ganlm_core.system.memory import lacks_memory
from ganlm_core.system.seeds import derived_seed

BATCH = 256
"""Sentences in a batch. The sentences of a seed depend on it, because each batch has its own random numbers."""

FEWEST = 10
"""Minimum number of real sentences for a calibration."""

CALIBRATION_SEED = 2**32
"""An unusual seed, so that the sentences of the calibration are not scored again with a user's seed."""


@contextmanager
def _guarded() -> Iterator[None]:
    """Compute in the block as torch does by default. Raises OutOfMemory for a lack of memory."""
    with plain_torch():
        try:
            yield
        except Exception as error:
            if isinstance(error, GanlmError) or not lacks_memory(error):
                raise
            said = f" ({error})" if str(error) else ""
            raise OutOfMemory(f"there is no memory for this{said}; ask for fewer sentences at once") from error


@dataclass(frozen=True, eq=False)
class Model:
    """The networks of a bundle, in evaluation mode and without gradients, with its tokenizer and metadata.

    Every method checks its arguments, which may be of any type that has their meaning, such as numbers of NumPy, and
    raises OptionError for a value of a wrong type or out of range, and OutOfMemory for a lack of memory. The caller's
    default dtype, default device and autocast do not change the results.

    ``discriminator`` is None if the algorithm trained none, ``calibration`` if no sentences were held out for it.
    ``config`` is the bundle's config.json, ``evaluation`` its evaluation.json, ``source`` the path or address that it
    was loaded from; empty for a model that was not loaded from a bundle.
    """

    generator: Generator
    discriminator: Discriminator | None
    tokenizer: Tokenizer
    config: Manifest
    evaluation: Mapping[str, Any]
    shape: Shape
    device: torch.device
    calibration: Calibration | None = None
    source: str = ""

    def __repr__(self) -> str:
        parts = self.config.components
        networks = [parts[kind].name for kind in self.config.networks if kind in parts]
        sizes = f"vocabulary={self.shape.vocabulary}, length={self.shape.length}"
        return f"Model({self.source!r}, networks={networks}, {sizes})"

    @_guarded()
    def sample(
        self,
        n: SupportsIndex,
        *,
        seed: SupportsIndex = 0,
        temperature: SupportsFloat = 1.0,
        top_k: SupportsIndex = 0,
        top_p: SupportsFloat = 1.0,
        batch_size: SupportsIndex = BATCH,
        prompt: str = "",
        label: str | int | None = "",
    ) -> list[str]:
        """Return ``n`` sentences of the ``label`` that begin with the ``prompt``.

        The same seed, policy, batch size, conditions and kind of device give the same sentences. A larger ``n`` begins
        with the sentences of a smaller one: every batch is drawn whole, with its own random generator. Without a label,
        a model with labels draws one for each sentence by its frequency in the training text. Raises UnknownName for a
        label, and UsageError for a prompt that has unknown words, that is as long as a sequence, or whose generator is
        not autoregressive.
        """
        policy = Policy(temperature, top_k, top_p)  # type: ignore[arg-type]  # it converts and checks them
        n, seed, batch_size = whole("n", n), whole("seed", seed), whole("batch_size", batch_size, least=1)
        prompt, label = string("prompt", prompt), arguments.label(label)
        batches = (
            self.batch(each, seed=seed, policy=policy, size=batch_size, prompt=prompt, label=label)
            for each in range(math.ceil(n / batch_size))
        )
        return [text for batch in batches for text in self.tokenizer.decode(batch)][:n]

    @property
    def labels(self) -> Labels:
        """The labels that the model knows; without names if it was trained without labels."""
        return Labels(self.config.labels, self.config.label_counts)

    @_guarded()
    def batch_labels(
        self, index: SupportsIndex, *, seed: SupportsIndex, size: SupportsIndex = BATCH, label: str | int | None = ""
    ) -> Tensor | None:
        """Return the labels (B,) of :meth:`batch`; None for a model without labels."""
        index, seed, size = whole("index", index), whole("seed", seed), whole("size", size, least=1)
        numbers = self.labels.asked(size, arguments.label(label), derived_seed(seed, index, "labels"))
        return None if numbers is None else numbers.to(self.device)

    @_guarded()
    def batch(
        self,
        index: SupportsIndex,
        *,
        seed: SupportsIndex,
        policy: Policy = PLAIN,
        size: SupportsIndex = BATCH,
        prompt: str = "",
        label: str | int | None = "",
    ) -> Tensor:
        """Return the ids (B, T) of the batch with this number. Each batch has its own random generator.

        Raises NonFinite when the generator gives logits from which no word can be drawn.
        """
        index, seed, size = whole("index", index), whole("seed", seed), whole("size", size, least=1)
        policy = _policy(policy)
        forced = self.tokenizer.prompt(string("prompt", prompt))
        rng = torch.Generator(self.device).manual_seed(derived_seed(seed, index))
        noise = torch.randn(size, self.shape.noise, generator=rng, device=self.device)
        noise = with_labels(noise, self.batch_labels(index, seed=seed, size=size, label=label), self.shape.labels)
        drawn = sample(self.generator, noise, policy, rng, forced)
        if drawn.log_probs.isnan().any():
            name = self.config.components["generator"].name
            raise NonFinite(f"the generator '{name}' gives logits that are NaN or infinite; do not use its weights")
        return drawn.tokens

    @_guarded()
    def log_prob(
        self,
        texts: Iterable[str],
        *,
        draws: SupportsIndex = 8,
        seed: SupportsIndex = 0,
        batch_size: SupportsIndex = BATCH,
        labels: Iterable[str | int] = (),
    ) -> list[float]:
        """Return log p(sentence) in nats, ``<eos>`` included. A sentence that is too long is cut; an unknown word has
        the probability of ``<unk>``.

        For a generator with noise it is a lower bound, which more ``draws`` of the noise make tighter; all sentences
        share the draws: see :func:`ganlm_core.sampling.log_marginal`. With ``labels``, one for each text, p is given
        the label; without them, a model with labels gives the mean over its labels by their frequency. Raises
        UsageError for a generator that is not autoregressive: given the noise, its words are independent, and the
        bound would say nothing.
        """
        texts, labels = strings("texts", texts), strings("labels", labels)
        seed, draws = whole("seed", seed), whole("draws", draws, least=1)
        batch_size = whole("batch_size", batch_size, least=1)
        if not self.generator.autoregressive:
            raise UsageError(
                "this generator is not autoregressive: it writes all positions at once, so it gives sentences no "
                "useful probability; use a generator that writes word by word"
            )
        draws = draws if self.shape.noise else 1
        noise = torch.randn(draws, 1, self.shape.noise, generator=torch.Generator().manual_seed(seed)).to(self.device)
        given = self.labels.of(labels, len(texts)) if labels else None
        parts = [None] * len(texts) if given is None else given.split(batch_size)
        found = [
            self._log_prob(tokens, noise.expand(-1, len(tokens), -1), part).tolist()
            for tokens, part in zip(self._encoded(texts, batch_size), parts, strict=False)
        ]
        return [value for values in found for value in values]

    def _log_prob(self, tokens: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        """Return log p(tokens) (B,) of ids (B, T) for noise (K, B, Z)."""
        if labels is None and self.labels.names:
            shares = self.labels.shares.log().float().to(self.device)
            every = [torch.full((len(tokens),), label) for label in range(len(shares))]
            return (torch.stack([self._log_prob(tokens, noise, each) for each in every]) + shares[:, None]).logsumexp(0)
        return log_marginal(self.generator, with_labels(noise, labels, self.shape.labels), tokens, mask_of(tokens))

    @_guarded()
    def score(
        self, texts: Iterable[str], *, batch_size: SupportsIndex = BATCH, labels: Iterable[str | int] = ()
    ) -> list[float]:
        """Return the discriminator's logit of each sentence: the higher, the more real.

        A discriminator with one logit per position gives their mean, or their sum. A sentence that is too long is cut.
        A model with labels judges a sentence as one of its label. Raises UsageError when the bundle has no
        discriminator, or has labels and the sentences have none.
        """
        texts, labels = strings("texts", texts), strings("labels", labels)
        batch_size = whole("batch_size", batch_size, least=1)
        self._require_discriminator()
        numbers = self.labels.of(labels, len(texts))
        parts = [None] * len(texts) if numbers is None else numbers.to(self.device).split(batch_size)
        pairs = zip(self._encoded(texts, batch_size), parts, strict=False)
        return [logit for tokens, part in pairs for logit in self._read(tokens, mask_of(tokens), part).tolist()]

    @_guarded()
    def logits(self, tokens: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """Return the logits (B,) of ids (B, T) with labels (B,), as :meth:`score` does for sentences."""
        tokens = ids("tokens", tokens, (self.shape.length,), self.shape.vocabulary)
        if labels is not None:
            if not self.shape.labels:
                raise UsageError("this bundle was trained without labels; leave labels out")
            labels = ids("labels", labels, (), self.shape.labels)
            if len(labels) != len(tokens):
                raise UsageError(f"there are {len(labels):,} labels for {len(tokens):,} sequences; give one for each")
        return self._read(tokens, mask_of(tokens), labels)

    @torch.no_grad()
    def _read(self, tokens: Tensor, mask: Tensor, labels: Tensor | None) -> Tensor:
        network = self._require_discriminator()
        return network.per_sequence(read_labelled(network, tokens, mask, labels, self.shape), mask)

    @_guarded()
    def probability(
        self, texts: Iterable[str], *, batch_size: SupportsIndex = BATCH, labels: Iterable[str | int] = ()
    ) -> list[float]:
        """Return P(real) of each sentence under equal priors for real and generated sentences.

        Raises UsageError when the bundle has no calibration, and as :meth:`score`.
        """
        logits = self.score(texts, batch_size=batch_size, labels=labels)
        return self.require_calibration().probability(torch.tensor(logits)).tolist()

    @_guarded()
    def explain(self, text: str, *, label: str | int | None = "") -> list[tuple[str, float]]:
        """Return the tokens of a sentence, each with its contribution to the log-odds that the sentence is real.

        See :func:`ganlm_core.bundle.attribution.leave_one_out`. Raises the errors of :meth:`probability`.
        """
        text, label = string("text", text), arguments.label(label)
        slope = self.require_calibration().slope
        (tokens,) = next(self._encoded([text], 1))
        number = self.labels.of([label] if label else [], 1)
        labels = None if number is None else number.to(self.device)
        weights = slope * leave_one_out(lambda rows, mask: self._read(rows, mask, labels), tokens)
        return list(zip(self.tokenizer.decode(tokens[: len(weights), None]), weights.tolist(), strict=True))

    def require_calibration(self) -> Calibration:
        """Return the calibration. Raises UsageError when there is none."""
        self._require_discriminator()
        if self.calibration is None:
            raise UsageError(
                "this bundle has no calibration, which turns logits into probabilities; "
                "give real text that it was not trained on (--data FILE, or Model.calibrated)"
            )
        return self.calibration

    @_guarded()
    def calibrated(self, texts: Iterable[str], *, policy: Policy = PLAIN, labels: Iterable[str | int] = ()) -> "Model":
        """Return this model with a calibration on real sentences, and on as many sentences that it draws.

        It needs FEWEST or more sentences that were not used for training. Raises DataError for fewer, and UsageError
        as :meth:`score`.
        """
        texts, policy = strings("texts", texts), _policy(policy)
        if len(texts) < FEWEST:
            raise DataError(f"a calibration needs {FEWEST} or more real sentences; there are {len(texts)}")
        real = torch.tensor(self.score(texts, labels=labels))
        batches = range(math.ceil(len(texts) / BATCH))
        generated = torch.cat([self._drawn_logits(each, policy) for each in batches]).cpu()
        return replace(self, calibration=fit(real, generated[: len(texts)]))

    def _drawn_logits(self, index: int, policy: Policy) -> Tensor:
        """Return the logits of a batch of the calibration."""
        tokens = self.batch(index, seed=CALIBRATION_SEED, policy=policy)
        return self.logits(tokens, labels=self.batch_labels(index, seed=CALIBRATION_SEED))

    def _require_discriminator(self) -> Discriminator:
        if self.discriminator is None:
            raise UsageError(
                "this bundle has no discriminator, so it cannot score; train with an algorithm that has one, and with "
                "--keep last if its best weights are from before the discriminator's first step"
            )
        return self.discriminator

    def _encoded(self, texts: Sequence[str], batch_size: int) -> Iterator[Tensor]:
        for start in range(0, len(texts), batch_size):
            tokens, _ = self.tokenizer.encode(texts[start : start + batch_size], self.shape.length)
            yield tokens.to(self.device)


def _policy(value: object) -> Policy:
    return instance("policy", value, Policy, "a Policy, such as Policy(temperature=0.8)")
