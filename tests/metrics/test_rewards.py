"""The mean reward of the texts of an evaluation."""

from ganlm_core.algorithms.options import LengthOptions, RegexOptions
from ganlm_core.algorithms.rewards import Priced
from ganlm_core.algorithms.text_rewards import Length, Regex
from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.metric import Conditions, Subject
from ganlm_core.metrics.rewards import RewardMeans


def test_each_reward_has_its_mean() -> None:
    priced = [
        Priced("regex", "regex", Regex(RegexOptions(pattern="^a"))),
        Priced("length", "length", Length(LengthOptions(longest=1))),
    ]
    corpus = Corpus("c", ["a"], ["a"], ["a"])
    found = RewardMeans(priced)(Subject(["a", "b", "a b", "a"]), Conditions(corpus))
    assert found.values == {"reward.regex": 0.75, "reward.length": 0.875}
    assert found.protocol == "4 sentences"
