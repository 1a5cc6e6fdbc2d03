"""Options of the built-in rewards."""

import pytest

from ganlm_core.errors import OptionError
from ganlm_core.rewards.options import LengthOptions, RegexOptions


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match=r"pattern is '\(', no regular expression \(missing \), .*\); correct it"):
        RegexOptions(pattern="(")


def test_bounds_of_lengths_are_in_order() -> None:
    with pytest.raises(OptionError, match=r"shortest is 5, above longest \(4\); lower it"):
        LengthOptions(shortest=5, longest=4)
