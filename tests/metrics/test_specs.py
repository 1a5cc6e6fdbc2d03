"""The metrics and encoders of the core: every target exists, and no two metrics measure the same thing."""

import importlib
from collections import Counter

import pytest

from ganlm_core.components import ComponentSpec
from ganlm_core.metrics.encoders import Encoder
from ganlm_core.metrics.metric import Metric
from ganlm_core.metrics.specs import ENCODERS, METRICS, ganlm_components


@pytest.mark.parametrize("spec", (*METRICS, *ENCODERS), ids=lambda spec: spec.name)
def test_a_target_is_a_class_of_its_kind(spec: ComponentSpec) -> None:
    module, _, name = spec.target.partition(":")
    target = getattr(importlib.import_module(module), name)
    assert issubclass(target, {"metric": Metric, "encoder": Encoder}[spec.kind])


def test_a_measure_belongs_to_one_metric() -> None:
    names = Counter(measure.name for spec in METRICS for measure in spec.measures)
    assert max(names.values()) == 1
    of_runs = {"validity", "distinct", "copies", "likelihood", "distance", "discrimination", "label-accuracy"}
    assert {spec.name for spec in METRICS if spec.when == "run"} == of_runs


def test_the_hook_registers_all() -> None:
    assert [spec.name for spec in ganlm_components()] == [spec.name for spec in (*METRICS, *ENCODERS)]
