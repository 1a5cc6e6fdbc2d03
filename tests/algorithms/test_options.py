"""Options of training methods: combinations that no single range can refuse."""

import pytest

from ganlm_core.algorithms.options import (
    AdversarialOptions,
    LengthOptions,
    PenaltyOptions,
    RankGANOptions,
    RatioOptions,
    RegexOptions,
    WGANGPOptions,
)
from ganlm_core.errors import OptionError


@pytest.mark.parametrize("discriminator_warmup", [0.2, 0.5])
def test_warmups_that_leave_no_adversarial_step_are_refused(discriminator_warmup: float) -> None:
    with pytest.raises(OptionError) as caught:
        AdversarialOptions(warmup=0.8, discriminator_warmup=discriminator_warmup)
    assert str(caught.value) == (
        f"warmup 0.8 and discriminator-warmup {discriminator_warmup} leave no step in which "
        "the networks train against each other; wanted a sum below 1: lower one of them, or choose --algorithm mle"
    )


def test_rankgan_refuses_the_same_warmups() -> None:
    with pytest.raises(OptionError, match=r"^warmup 1\.0 and discriminator-warmup 0\.0 leave no step"):
        RankGANOptions(warmup=1.0)


def test_losses_that_read_a_density_ratio_refuse_smoothing() -> None:
    assert RatioOptions().smoothing == 0
    with pytest.raises(OptionError) as caught:
        RatioOptions(smoothing=0.1)
    assert str(caught.value) == (
        "smoothing is 0.1, and with it the best logit is not log(p_data/p_generator), which this loss needs; leave it "
        "at 0, or choose --loss non-saturating"
    )


def test_wgan_gp_has_the_weight_of_the_paper() -> None:
    assert WGANGPOptions().weight == 10
    assert PenaltyOptions().weight == 1


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match=r"pattern is '\(', no regular expression \(missing \), .*\); correct it"):
        RegexOptions(pattern="(")


def test_bounds_of_lengths_are_in_order() -> None:
    with pytest.raises(OptionError, match=r"shortest is 5, above longest \(4\); lower it"):
        LengthOptions(shortest=5, longest=4)
