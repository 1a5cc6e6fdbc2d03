"""The values of a run in a checkpoint: they come back as they were, and values of other types are refused."""

from typing import Any

import pytest

from ganlm_core.training.progress import Progress, Saved

PROGRESS = Progress({"before": {"valid": 0.5}}, [{"step": 2, "entropy": 4.0}], 7, 2, 1, "it ended")
SAVED = Saved((6, 300), "abc", PROGRESS, "steps = 3\n")


def test_a_tree_gives_the_values_back() -> None:
    assert Saved.of(SAVED.to_tree()) == SAVED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batches", 6),
        ("batches", [6]),
        ("batches", ["6", 300]),
        ("data", 5),
        ("config", None),
        ("progress", {}),
        ("progress", SAVED.to_tree()["progress"] | {"records": "7"}),
        ("progress", SAVED.to_tree()["progress"] | {"good": 2.0}),
        ("progress", SAVED.to_tree()["progress"] | {"stopped": None}),
        ("progress", SAVED.to_tree()["progress"] | {"history": [3]}),
        ("progress", SAVED.to_tree()["progress"] | {"history": [{"entropy": 4.0}]}),
        ("progress", SAVED.to_tree()["progress"] | {"evaluations": {"before": {"valid": "half"}}}),
        ("progress", SAVED.to_tree()["progress"] | {"more": 1}),
        ("more", 1),
    ],
)
def test_values_of_other_types_are_refused(name: str, value: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Saved.of(SAVED.to_tree() | {name: value})
