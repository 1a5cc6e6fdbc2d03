"""The options of the encoders refuse sizes that no features can have."""

import pytest

from ganlm_core.errors import OptionError
from ganlm_core.metrics.options import HashedNgramsOptions, SentenceTransformersOptions


@pytest.mark.parametrize("name", ["dimensions", "orders"])
def test_an_encoder_has_at_least_one_dimension_and_one_order(name: str) -> None:
    assert getattr(HashedNgramsOptions.of({name: "3"}, "encoder"), name) == 3
    with pytest.raises(OptionError, match=f"encoder: {name} is 0"):
        HashedNgramsOptions.of({name: 0}, "encoder")


def test_the_default_model_has_a_name_to_download() -> None:
    assert SentenceTransformersOptions().model == "all-MiniLM-L6-v2"
