"""The models and runs of a server, by the names under which requests know them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlm_core.bundle.load import load
from ganlm_core.bundle.locate import short_names
from ganlm_core.bundle.manifest import is_run
from ganlm_core.bundle.model import Model
from ganlm_core.data.corpus import Corpus
from ganlm_core.errors import DataError, GanlmError, UnknownName, UsageError, WeightsError
from ganlm_core.evaluation.sources import Source, real_text
from ganlm_core.plugins.host import Host
from ganlm_core.training.run_folder import RunFolder


@dataclass(frozen=True)
class Served:
    """A model under its ``name``. ``address`` names it on the command line; ``test`` holds real sentences, or none."""

    name: str
    address: str
    model: Model
    test: Sequence[str] = ()

    def describe(self) -> dict[str, Any]:
        """Return the parts and abilities of the model, as JSON."""
        model, components = self.model, self.model.config.components
        return {
            "name": self.name,
            "address": self.address,
            "components": {kind: component.name for kind, component in components.items()},
            "length": model.shape.length,
            "vocabulary": model.shape.vocabulary,
            "writes_word_by_word": model.generator.autoregressive,
            "judges": model.discriminator is not None and model.calibration is not None and not model.labels.names,
            "real_sentences": len(self.test),
        }

    def refuse_labels(self) -> None:
        """Raise UsageError for a model whose verdict on a text needs a label, which the API does not take."""
        if self.model.labels.names:
            raise UsageError(
                f"{self.name} judges a text as a text of its label, which the API does not take; "
                "use ganlm score with --corpus.label COLUMN"
            )


class Library:
    """Everything that a server serves: models by name, and run folders by name. Both are fixed at the start."""

    def __init__(self, models: Mapping[str, Served], runs: Mapping[str, RunFolder]) -> None:
        self.models, self.runs = models, runs

    @classmethod
    def open(cls, host: Host, addresses: Sequence[str], data: str = "", device: str = "cpu") -> "Library":
        """Load the bundles, and remember the runs, at ``addresses``. ``data``: real text for models without their own.

        A run without a bundle can only be watched. Raises WeightsError for an address with neither run nor bundle.
        """
        models: dict[str, Served] = {}
        runs: dict[str, RunFolder] = {}
        for address, name in zip(addresses, short_names(addresses), strict=True):
            if is_run(Path(address)):
                runs[name] = RunFolder.open(Path(address))
            try:
                model = load(address, host, device)
            except WeightsError:
                if name not in runs or runs[name].bundle.is_dir():
                    raise
                continue
            models[name] = Served(name, address, model, _test_split(host, name, model, data))
        return cls(models, runs)

    def model(self, name: str) -> Served:
        """Return a model by name; the first model for an empty name. Raises UnknownName."""
        if not name and self.models:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise UnknownName("model", name, self.models, hint="GET /v1/models lists them")
        return self.models[name]

    def run(self, name: str) -> RunFolder:
        """Return a run by name. Raises UnknownName."""
        if name not in self.runs:
            raise UnknownName("run", name, self.runs, hint="GET /v1/runs lists them")
        return self.runs[name]


def _test_split(host: Host, name: str, model: Model, data: str) -> Sequence[str]:
    """Return real sentences that the model was not trained on; none if its corpus is not on this machine."""
    try:
        corpus: Corpus = real_text(host, [Source("model", name, model)], data)
    except DataError:
        if data:
            raise
        return ()
    except GanlmError:
        return ()
    return corpus.test
