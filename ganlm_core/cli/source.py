"""Load a model by its name: a bundle, an address, or a run, finished or in training."""

from typing import TYPE_CHECKING, Any

from ganlm_core.cli.calibration import calibrate_on
from ganlm_core.cli.output import note
from ganlm_core.plugins.host import Host

if TYPE_CHECKING:
    from ganlm_core.bundle.model import Model
    from ganlm_core.data.corpus import Corpus


def load_source(name: str, host: Host, device: str, calibrated: bool = False) -> "Model":
    """Load the model with this ``name``; for a run without a bundle, the model of its latest checkpoint.

    A checkpoint has no calibration; with ``calibrated`` it gets one from the run's own text. Raises the
    errors of :func:`ganlm_core.bundle.load.load`, and DataError if the text cannot be read.
    """
    from ganlm_core.bundle.load import load
    from ganlm_core.sampling import PLAIN
    from ganlm_core.training.export import load_checkpoint, unfinished_run

    run = unfinished_run(name)
    if run is None:
        return load(name, host, device)
    model, step = load_checkpoint(run, host, device)
    note(f"{name} has not finished; its checkpoint of step {step} is used")
    if not calibrated:
        return model
    corpus = run.load_config(host).corpus
    return calibrate_on(model, host.build("corpus", corpus.name, corpus.options), PLAIN)


def training_text(name: str, model: "Model", host: Host, data: str = "", **reading: Any) -> "Corpus":
    """Return the training text of a model: the text ``data``, or else the text that its run or bundle names.

    Raises DataError if it is not there or was changed. ``reading`` are options of reading a file.
    """
    from ganlm_core.evaluation.sources import Source, real_text, run_at

    return real_text(host, [Source("model", name, model, run=run_at(name))], data, **reading)
