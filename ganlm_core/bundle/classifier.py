"""The reward of a trained discriminator."""

from collections.abc import Mapping, Sequence

import torch

from ganlm_core.algorithms.options import ClassifierOptions
from ganlm_core.bundle.load import load
from ganlm_core.errors import OptionError
from ganlm_core.protocol import Reward


class Classifier(Reward):
    """The probability that a text is real, by the calibrated discriminator of a bundle or a finished run.

    With a label it is P(label | text), by Bayes' theorem from the likelihood of the text under the bundle's generator
    given each label, and the frequency of the labels.
    """

    def __init__(self, options: ClassifierOptions) -> None:
        if not options.path:
            raise OptionError("reward 'classifier' has no path; name a bundle with --reward.classifier.path")
        self.model, self.label = load(options.path), options.label
        labels = self.model.labels
        if self.label:
            self.number = labels.number(self.label)
            if not self.model.generator.autoregressive:
                raise OptionError(f"{options.path} writes all positions at once, so its likelihood tells no label")
        elif labels.names:
            raise OptionError(f"{options.path} has labels ({labels}); name one with --reward.classifier.label")
        else:
            self.model.require_calibration()

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return self._posterior(texts) if self.label else self.model.probability(texts)

    def _posterior(self, texts: list[str]) -> list[float]:
        """Return P(label | text) of each text."""
        labels = self.model.labels
        likelihoods = [self.model.log_prob(texts, labels=[name] * len(texts)) for name in labels.names]
        scores = torch.tensor(likelihoods, dtype=torch.float64).T + labels.shares.log()
        return scores.softmax(dim=1)[:, self.number].tolist()
