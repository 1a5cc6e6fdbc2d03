import numpy as np
import pytest

from ganlm_core.data.permutation import permute


@pytest.mark.parametrize("n", [1, 2, 3, 5, 64, 65, 1000, 4097])
def test_every_place_is_sent_to_one_of_its_own(n: int) -> None:
    for key in ("0/0", "0/1"):
        assert sorted(permute(np.arange(n), n, key)) == list(range(n))


def test_places_can_be_asked_for_alone() -> None:
    everything = permute(np.arange(1000), 1000, "key")
    assert permute(np.array([998, 3]), 1000, "key").tolist() == everything[[998, 3]].tolist()


def test_the_key_chooses_and_every_end_is_as_likely() -> None:
    """The first of ten places under 5,000 keys: of chi-squares with 9 degrees of freedom, 1 in 1,000 is above 27.9."""
    ends = [permute(np.arange(1), 10, str(key))[0] for key in range(5000)]
    counts = np.bincount(ends, minlength=10)
    assert ((counts - 500) ** 2 / 500).sum() < 27.9


def test_neighbours_are_not_sent_to_neighbours() -> None:
    """Correlations of 100,000 pairs have a deviation of 1 / sqrt(100,000) = 0.0032."""
    n = 100_003
    sent = permute(np.arange(n), n, "key").astype(float)
    assert abs(np.corrcoef(sent[:-1], sent[1:])[0, 1]) < 0.013
    assert abs(np.corrcoef(np.arange(n), sent)[0, 1]) < 0.013
