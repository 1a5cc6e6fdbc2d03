"""Values of interim evaluations: each has one title everywhere."""

from ganlm_core.metrics.interim import MONITORED, title_of
from ganlm_core.training.monitor import interim_evaluation
from ganlm_core.training.setup import prepare
from tests.conftest import tiny_config


def test_every_value_of_the_monitor_is_declared() -> None:
    setup = prepare(tiny_config("lstm", "conv"))
    values, _ = interim_evaluation(setup, 0)
    assert values.keys() - setup.interim_judge.judge(setup.interim_judge.written(setup.generator, 4)).keys() == {
        each.name for each in MONITORED
    }


def test_a_value_has_the_title_of_its_measure_or_else_its_name_in_words() -> None:
    assert [title_of(name) for name in ("validation_nll", "tv", "discriminator_accuracy", "process_nll")] == [
        "validation NLL", "TV", "D accuracy", "process NLL"
    ]  # fmt: skip
    assert title_of("goals_met") == "goals met"
