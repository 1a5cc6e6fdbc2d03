"""``--data`` of the commands that use a discriminator: real text to put its logits on scale."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ganlm_core.config.run_config import data_layer, resolve
from ganlm_core.plugins.host import Host

if TYPE_CHECKING:
    from ganlm_core.bundle.model import Model
    from ganlm_core.sampling import Policy

data_option = click.option(
    "--data",
    metavar="FILE|CORPUS",
    help="calibrate the discriminator on its validation and test parts, instead of as the bundle says",
)


def calibrate(model: "Model", host: Host, data: str, policy: "Policy") -> "Model":
    """The model with a calibration on the parts of a corpus that no run trains on, and on what the policy draws."""
    choice = resolve(host, [data_layer(host, data)]).corpus
    corpus = host.build("corpus", choice.name, choice.options)
    return replace(model, calibration=model.calibrate([*corpus.validation, *corpus.test], policy))
