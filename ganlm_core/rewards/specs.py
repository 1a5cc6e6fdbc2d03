"""Register the built-in rewards, as a plugin does."""

from collections.abc import Iterator

from ganlm_core.components import ComponentSpec
from ganlm_core.hookspecs import hookimpl
from ganlm_core.rewards.options import ClassifierOptions, LengthOptions, RegexOptions, ValidityOptions

REWARDS = (
    ComponentSpec(
        "reward", "regex", "ganlm_core.rewards.texts:Regex", RegexOptions, "1 for a text that has a pattern, else 0"
    ),
    ComponentSpec(
        "reward", "length", "ganlm_core.rewards.texts:Length", LengthOptions, "1 for a length within bounds, then less"
    ),
    ComponentSpec(
        "reward",
        "validity",
        "ganlm_core.rewards.judges:Validity",
        ValidityOptions,
        "1 for a text that the process of a corpus can give, else 0",
    ),
    ComponentSpec(
        "reward",
        "classifier",
        "ganlm_core.rewards.judges:Classifier",
        ClassifierOptions,
        "probability that a text is real, by the discriminator of a bundle",
        exceptions={"check_defaults": "it needs the path of a bundle"},
    ),
)


@hookimpl
def ganlm_components() -> Iterator[ComponentSpec]:
    yield from REWARDS
