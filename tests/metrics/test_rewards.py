"""The mean reward of the texts of an evaluation."""

from collections.abc import Mapping, Sequence

from ganlm_core.algorithms.options import LengthOptions, RegexOptions
from ganlm_core.algorithms.rewards import CheckedReward
from ganlm_core.algorithms.text_rewards import Length, Regex
from ganlm_core.data.corpus import Columns, Corpus, spread
from ganlm_core.metrics.metric import Conditions, Subject
from ganlm_core.metrics.rewards import RewardMeans
from ganlm_core.protocol import Reward


def test_each_reward_has_its_mean() -> None:
    rewards = [
        CheckedReward("regex", "regex", Regex(RegexOptions(pattern="^a"))),
        CheckedReward("length", "length", Length(LengthOptions(longest=1))),
    ]
    corpus = Corpus("c", ["a"], ["a"], ["a"])
    found = RewardMeans(rewards)(Subject(["a", "b", "a b", "a"]), Conditions(corpus))
    assert found.values == {"reward.regex": 0.75, "reward.length": 0.875}
    assert found.protocol == "4 sentences"


class Quotes(Reward):
    """1 for a text that has the word of its column."""

    def __call__(self, texts: list[str], columns: Mapping[str, Sequence[str]]) -> list[float]:
        return [float(word in text) for text, word in zip(texts, columns["word"], strict=True)]


def test_texts_have_the_columns_of_the_test_split_row_by_row() -> None:
    corpus = Corpus("c", ["a"], ["a"], ["x", "y"], columns={"test": Columns(others={"word": ["x", "y"]})})
    measure = RewardMeans([CheckedReward("quotes", "quotes", Quotes())])
    generated = Subject(["x", "y", "no", "y", "x"])
    assert measure(generated, Conditions(corpus)).values == {"reward.quotes": 4 / 5}
    real = Subject(["a"], held_out=["x", "y"])
    assert measure(real, Conditions(corpus)).values == {"reward.quotes": 1}


def test_a_part_of_the_held_out_text_has_its_own_columns() -> None:
    words = list("abcdefghij")
    corpus = Corpus("c", ["a"], ["a"], words, columns={"test": Columns(others={"word": words})})
    real = Subject(["a"], held_out=spread(words, 4))
    assert RewardMeans([CheckedReward("quotes", "quotes", Quotes())])(real, Conditions(corpus)).values == {
        "reward.quotes": 1
    }
