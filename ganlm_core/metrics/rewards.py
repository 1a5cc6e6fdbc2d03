"""The mean of each reward over the texts of an evaluation."""

from collections.abc import Sequence
from itertools import cycle, islice

from ganlm_core.algorithms.rewards import CheckedReward
from ganlm_core.data.corpus import spread
from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject


class RewardMeans(Metric):
    """``reward.NAME``: the mean of each reward of a run, for the generator and for the rows that it is compared with.

    A generator far above real text pleases the reward and not the reader: compare ``distinct``. With further columns in
    the data, text i has those of test sentence i, from the first again after the last; held-out text has its own. A
    failing reward raises PluginError, as it does in training.
    """

    def __init__(self, rewards: Sequence[CheckedReward]) -> None:
        self.rewards = rewards

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        others = conditions.corpus.beside("test").others
        texts = subject.unseen if others else subject.texts
        first = spread if subject.held_out else lambda values, n: list(islice(cycle(values), n))
        columns = {name: first(values, len(texts)) for name, values in others.items()}
        means = {f"reward.{each.name}": sum(each(texts, columns)) / len(texts) for each in self.rewards}
        return Measured(means, f"{len(texts):,} sentences")
