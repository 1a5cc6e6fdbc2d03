"""A loaded bundle: sentences from its generator, scores from its discriminator."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ganlm_core.errors import OptionError, UsageError
from ganlm_core.manifest import Manifest
from ganlm_core.protocol import Discriminator, Generator, Shape, mask_of, per_sequence
from ganlm_core.sampling import Policy, sample
from ganlm_core.tokenizer import Tokenizer


@dataclass(frozen=True)
class Model:
    """The networks of a bundle, in evaluation mode and without gradients, and all that came with them.

    ``discriminator`` is None where the algorithm trained none. ``config`` is the bundle's config.json.
    """

    generator: Generator
    discriminator: Discriminator | None
    tokenizer: Tokenizer
    config: Manifest
    evaluation: Mapping[str, Any]
    shape: Shape
    device: torch.device

    def sample(
        self,
        n: int,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        batch_size: int = 256,
        prompt: str = "",
    ) -> list[str]:
        """``n`` sentences, each of which begins with the ``prompt``.

        The same seed, policy, batch size, prompt and kind of device give the same sentences, and the first of many are
        those of few: every batch is drawn whole, with a random generator of its own. Raises OptionError for a policy
        that is none, and UsageError for a prompt that has unknown words, that leaves no room, or that is for a
        generator that is not autoregressive.
        """
        return list(self.stream(n, seed, Policy(temperature, top_k, top_p), batch_size, prompt))

    def stream(self, n: int, seed: int, policy: Policy, batch_size: int = 256, prompt: str = "") -> Iterator[str]:
        """As :meth:`sample`, giving each batch as soon as it is drawn."""
        _check(n, policy, batch_size)
        forced = self.tokenizer.prompt(prompt)
        for start in range(0, n, batch_size):
            rng = torch.Generator(self.device).manual_seed(_batch_seed(seed, start // batch_size))
            noise = torch.randn(batch_size, self.shape.noise, generator=rng, device=self.device)
            tokens = sample(self.generator, noise, policy, rng, forced).tokens
            yield from self.tokenizer.decode(tokens[: n - start])

    @torch.no_grad()
    def score(self, texts: Sequence[str], batch_size: int = 256) -> list[float]:
        """The discriminator's logit of each sentence, the higher the more real; the mean over it, if per position.

        What is longer than the bundle's sequences is cut. Raises UsageError when the bundle has no discriminator.
        """
        if self.discriminator is None:
            raise UsageError(
                "this bundle has no discriminator, so it cannot score; train with an algorithm that has one"
            )
        scores: list[float] = []
        for start in range(0, len(texts), batch_size):
            tokens, _ = self.tokenizer.encode(texts[start : start + batch_size], self.shape.length)
            tokens = tokens.to(self.device)
            mask = mask_of(tokens)
            scores += per_sequence(self.discriminator(tokens, mask), mask).tolist()
        return scores


def _batch_seed(seed: int, index: int) -> int:
    """A seed for each batch, such that the batches of neighbouring seeds do not meet."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:8], "big") >> 1


def _check(n: int, policy: Policy, batch_size: int) -> None:
    wanted = {
        f"n is {n}; wanted 0 or more": n >= 0,
        f"batch_size is {batch_size}; wanted 1 or more": batch_size >= 1,
        f"temperature is {policy.temperature}; wanted a number above 0": 0 < policy.temperature < float("inf"),
        f"top_k is {policy.top_k}; wanted 0 or more": policy.top_k >= 0,
        f"top_p is {policy.top_p}; wanted a number above 0 and at most 1": 0 < policy.top_p <= 1,
    }
    for message, holds in wanted.items():
        if not holds:
            raise OptionError(message)
