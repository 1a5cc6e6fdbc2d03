"""Seeds that are derived from others."""

from ganlm_core.system.seeds import derived_seed


def test_each_stream_has_a_seed_of_its_own() -> None:
    seeds = [derived_seed(seed, index) for seed in range(10) for index in range(10)] + [derived_seed(0, 0, "labels")]
    assert len(set(seeds)) == 101
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_short_seed_is_the_start_of_the_long_one() -> None:
    """The first bytes of SHA-256("1/2"), by another program."""
    assert derived_seed(1, 2, bits=32) == derived_seed(1, 2) >> 31 == 0xD939926F
