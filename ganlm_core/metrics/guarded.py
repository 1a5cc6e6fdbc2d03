"""Build metrics, and leave out a metric of a plugin that fails: it must neither end a run nor hide another value."""

from collections.abc import Iterable
from functools import cached_property

from ganlm_core.metrics.metric import Conditions, Measured, Metric, Subject, problem_with
from ganlm_core.plugins.host import Host
from ganlm_core.plugins.wording import described


class Guarded(Metric):
    """A metric of a plugin. Every run measures it, so it must neither end a run nor hide the value of another metric.

    Once it cannot be built, raises, or returns something invalid, it is left out from then on; ``failure`` says why.
    ``owners`` is shared by the metrics of a judge: the metric that each measure belongs to.
    """

    def __init__(self, host: Host, name: str, owners: dict[str, str]) -> None:
        self.host, self.name, self.owners, self.failure = host, name, owners, ""

    def __call__(self, subject: Subject, conditions: Conditions) -> Measured:
        if not self.failure:
            try:
                found = self._metric(subject, conditions)
                problem = problem_with(found) or self._taken(found)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                problem = f"failed with {described(error)}"
            if not problem:
                return found
            self.failure = f"{self.host.full_name('metric', self.name)} is left out, because it {problem}"
        return Measured(protocol=self.failure)

    @cached_property
    def _metric(self) -> Metric:
        metric: Metric = self.host.build("metric", self.name)
        return metric

    def _taken(self, found: Measured) -> str:
        for measure in found.values:
            owner = self.owners.setdefault(measure, self.name)
            if owner != self.name:
                return f"gives {measure}, which belongs to metric '{owner}'"
        return ""


def build_metrics(host: Host, names: Iterable[str]) -> dict[str, Metric]:
    """Build metrics by name; those of plugins are guarded. Raises PluginError."""
    owners = _owners(host)
    return {
        name: host.build("metric", name) if _is_built_in(host, name) else Guarded(host, name, owners) for name in names
    }


def _owners(host: Host) -> dict[str, str]:
    """Return the metric that each declared measure belongs to: a built-in one, else the first by name."""
    names = sorted(host.specs("metric"), key=lambda name: not _is_built_in(host, name))
    pairs = [(measure.name, name) for name in names for measure in host.spec("metric", name).measures]
    return dict(reversed(pairs))


def _is_built_in(host: Host, name: str) -> bool:
    return host.origin("metric", name).built_in
