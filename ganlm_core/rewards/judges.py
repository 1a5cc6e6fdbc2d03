"""Rewards by something that knows valid or real texts: an exact process, or a trained discriminator."""

import math
from collections.abc import Mapping, Sequence

from ganlm_core.bundle.load import load
from ganlm_core.data.corpus import Corpus, Process
from ganlm_core.errors import OptionError
from ganlm_core.plugins.host import default_host
from ganlm_core.protocol import Reward
from ganlm_core.rewards.options import ClassifierOptions, ValidityOptions


class Validity(Reward):
    """1 for a text that the process of a corpus can give, else 0."""

    def __init__(self, options: ValidityOptions) -> None:
        self.process = _process(options.corpus)

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [float(score > -math.inf) for score in self.process.log_prob(texts)]


def _process(name: str) -> Process:
    """Return the process of an installed corpus with its default options. Raises OptionError if it has none."""
    host = default_host()
    corpus: Corpus = host.build("corpus", name, host.spec("corpus", name).options())
    if corpus.process is None:
        raise OptionError(f"corpus '{name}' has no exact process, so no text is known to be valid; choose another one")
    return corpus.process


class Classifier(Reward):
    """The probability that a text is real, by the calibrated discriminator of a bundle or a finished run."""

    def __init__(self, options: ClassifierOptions) -> None:
        if not options.path:
            raise OptionError("reward 'classifier' has no path; name a bundle with --reward.classifier.path")
        self.model = load(options.path)
        self.model.calibrated()

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return self.model.probability(texts)
