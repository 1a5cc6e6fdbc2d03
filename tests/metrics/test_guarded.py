"""Metrics of plugins: each measure has one owner, and a metric that breaks its contract is left out."""

from pathlib import Path

from ganlm_core.data.corpus import Corpus
from ganlm_core.metrics.guarded import Guarded, build_metrics
from ganlm_core.metrics.metric import Conditions, Subject
from ganlm_core.plugins.host import Host
from tests.guests import HEAD


def test_a_measure_belongs_to_one_metric_and_a_later_plugin_that_gives_it_is_left_out(tmp_path: Path) -> None:
    """``b`` declares ``words``; nobody declares ``letters``, so the first that gives it has it."""
    gives = {"a": {"words": 1.0}, "b": {"words": 2.0, "letters": 2.0}, "c": {"letters": 3.0}}
    for name, values in gives.items():
        declared = ", measures=(Measure('words', 'words'),)" if name == "b" else ""
        (tmp_path / f"{name}.py").write_text(
            f"""{HEAD}
from ganlm_core.components import Measure
from ganlm_core.metrics.metric import Measured, Metric

class Given(Metric):
    def __call__(self, subject, conditions):
        return Measured({values}, "a few")

@hookimpl
def ganlm_components():
    yield ComponentSpec("metric", "{name}", f"{{__name__}}:Given"{declared})
"""
        )
    host = Host.discover([tmp_path / f"{name}.py" for name in gives], no_plugins=True)
    built = build_metrics(host, gives)
    found = [metric(Subject(["a b"]), Conditions(Corpus("", ["a b"], [], []))) for metric in built.values()]
    assert [dict(each.values) for each in found] == [{}, {"words": 2.0, "letters": 2.0}, {}]
    assert [each.failure for each in built.values() if isinstance(each, Guarded) and each.failure] == [
        "metric 'a' of a.py is left out, because it gives words, which belongs to metric 'b'",
        "metric 'c' of c.py is left out, because it gives letters, which belongs to metric 'b'",
    ]
