"""What a metric is: a number, or a few, about sentences, measured in the same way for a model and for real text."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ganlm_core.components import Options
from ganlm_core.corpora import Corpus


@dataclass(frozen=True)
class Subject:
    """Whoever wrote the ``texts``: a generator, or the people behind held-out text.

    ``nll_per_token`` gives the negative log-likelihood of other texts in nats per token, ``<eos>`` included;
    it is None where there is no likelihood to speak of.
    """

    texts: Sequence[str]
    nll_per_token: Callable[[Sequence[str]], float] | None = None


class Metric(ABC):
    """Called with a subject and the corpus; a value that does not exist there is left out, never made up."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def __call__(self, subject: Subject, corpus: Corpus) -> Mapping[str, float]: ...
