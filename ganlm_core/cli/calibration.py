"""``--data`` of the commands that use a discriminator: recalibrate it on real text."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganlm_core.cli.output import note
from ganlm_core.config.run_config import corpus_from
from ganlm_core.plugins.host import Host

if TYPE_CHECKING:
    from ganlm_core.bundle.model import Model
    from ganlm_core.data.corpus import Corpus
    from ganlm_core.sampling import Policy


def calibrate(model: "Model", host: Host, data: str, corpus: Mapping[str, Any], policy: "Policy") -> "Model":
    """Return the model calibrated on the corpus ``data``, by name or file.

    ``corpus`` are options of reading it. A note says if the text is not the bundle's text.
    """
    text = corpus_from(host, data, **corpus)
    if model.config.changed_splits(text.digests()):
        note(f"{data} is not the text that the bundle was trained on; the calibration is for this text")
    return calibrate_on(model, text, policy)


def calibrate_on(model: "Model", text: "Corpus", policy: "Policy") -> "Model":
    """Return the model calibrated on the validation and test splits of a corpus and on samples under the policy."""
    labels = [*text.beside("validation").labels, *text.beside("test").labels]
    return model.calibrated([*text.validation, *text.test], policy=policy, labels=labels)
