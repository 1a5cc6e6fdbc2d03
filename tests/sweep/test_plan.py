"""Plans: products, zip and variants; names; and everything that is refused before a run starts."""

from pathlib import Path
from typing import Any

import pytest

from ganlm_core.errors import GanlmError, OptionError, UnknownName, UsageError
from ganlm_core.plugins.host import default_host
from ganlm_core.sweep import folder, search
from ganlm_core.sweep.plan import TAKEN, Plan, make_plan, named_plan, read_plan


def plan(table: dict[str, Any], **options: Any) -> Plan:
    return make_plan(default_host(), [], table, **options)


def test_lists_are_combined() -> None:
    found = plan({"recipe": ["mle", "seqgan"], "seed": "0..1", "steps": 9})
    assert [run.name for run in found.runs] == ["mle-seed0", "mle-seed1", "seqgan-seed0", "seqgan-seed1"]
    assert [(run.config.recipe, run.config.training.seed) for run in found.runs] == [
        ("mle", 0), ("mle", 1), ("seqgan", 0), ("seqgan", 1)
    ]  # fmt: skip
    assert {run.config.training.steps for run in found.runs} == {9}
    assert found.runs[0].settings == {"recipe": "mle", "seed": "0"}


def test_a_text_of_a_file_with_dots_and_commas_is_one_value() -> None:
    found = plan({"reward.regex.pattern": "^a{1,3}..$", "seed": "0..1,5"})
    assert [run.name for run in found.runs] == ["seed0", "seed1", "seed5"]
    assert {run.config.rewards["regex"].options.as_dict()["pattern"] for run in found.runs} == {"^a{1,3}..$"}


def test_zipped_lists_go_along_together() -> None:
    found = plan({"zip": {"steps": [5, 6], "batch-size": [8, 16]}, "seed": [0, 1]})
    assert [(run.config.training.steps, run.config.training.batch_size) for run in found.runs] == [
        (5, 8), (6, 16), (5, 8), (6, 16)
    ]  # fmt: skip
    with pytest.raises(OptionError, match=r"equally long \(steps has 2, batch-size has 1\)"):
        plan({"zip": {"steps": [5, 6], "batch-size": [8]}})


def test_variants_give_their_names() -> None:
    found = plan({"variants": {"small": {"gen.hidden-size": 8}, "two": {"gen": {"layers": 2}}}, "seed": [1, 2]})
    assert [run.name for run in found.runs] == ["seed1-small", "seed1-two", "seed2-small", "seed2-two"]
    assert found.runs[0].settings == {"seed": 1, "variant": "small"}
    assert found.runs[1].config.generator.options.as_dict()["layers"] == 2


def test_excluded_runs_are_left_out() -> None:
    varied = {"recipe": ["mle", "seqgan"], "seed": "0..1", "variants": {"small": {"gen.hidden-size": 8}, "plain": {}}}
    found = plan(
        varied
        | {
            "exclude": [
                {"recipe": "seqgan", "variant": "plain"},
                {"variant": "small", "seed": 1},
                {"seed": 1, "recipe": "mle", "variant": "small"},
            ]
        }
    )
    assert [run.name for run in found.runs] == [
        "mle-seed0-small",
        "mle-seed0-plain",
        "mle-seed1-plain",
        "seqgan-seed0-small",
    ]
    assert len(plan(varied | {"exclude": [{"seed": 1}]}, given={"seed": ["0"]}).runs) == 4


@pytest.mark.parametrize("given", [{}, {"prior": ["true", "false"]}, {"gen-optimizer.lr": ["1e-3", "1e-5"]}])
def test_an_exclusion_means_a_value_however_it_is_written(given: dict[str, list[str]]) -> None:
    varied = {"prior": [True, False], "gen-optimizer.lr": [0.001, 0.00001]}
    excluded = {"training.prior": False, "gen-optimizer.lr": 0.00001}
    assert len(plan(varied | {"exclude": [excluded]}, given=given).runs) == 3


def test_the_names_of_a_search_and_of_a_sweep_are_taken() -> None:
    assert {folder.SWEEP, search.JOURNAL, search.PAGE, search.OPTIONS_FILE} < set(TAKEN)


def test_no_name_of_a_run_leaves_the_folder_or_comes_twice(tmp_path: Path) -> None:
    names = ["../../precious", "/etc/abs", "..", "configs", "sweep.json", "a/b"]
    found = plan({"variants": {name: {"seed": number} for number, name in enumerate(names)}})
    assert [run.name for run in found.runs] == ["precious", "etc-abs", "run", "configs-1", "sweep.json-1", "a-b"]
    for name in ("x/c.txt", "c-1.txt", "y/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a\nb\n")
    found = plan({"data": [str(tmp_path / name) for name in ("x/c.txt", "c-1.txt", "y/c.txt")]})
    assert [run.name for run in found.runs] == ["c", "c-1", "c-2"]


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"sede": [1]}, UnknownName, "there is no setting 'sede'; did you mean 'seed'"),
        ({"gen.hidden-sise": [1]}, UnknownName, "did you mean 'hidden-size'"),
        ({"steps": ["many"]}, OptionError, "run run: .*steps is 'many'"),
        ({"steps": [[1, 2]]}, OptionError, r"steps has \[1, 2\] among its values; each must be one value"),
        ({"steps": []}, OptionError, "steps has no values"),
        ({"threads": [1, 2]}, OptionError, r"threads is \[1, 2\]; one number is wanted here"),
        ({"variants": {"a": {"seed": [1, 2]}}}, OptionError, r"seed of variant 'a' is \[1, 2\]; one value is wanted"),
        ({"seed": [0, 0]}, UsageError, r"run and run-1 are the same run \(seed 0\)"),
        ({"variants": {"a": {"steps": 9}, "b": {"training.steps": 9}}}, UsageError, "a and b are the same run"),
        ({"seed": [0, 1], "zip": {"seed": [2, 3]}}, UsageError, "seed is in two lists of the plan"),
        ({"seed": "0..9999", "steps": [1, 2]}, UsageError, "20,000 runs, more than the 10,000 allowed"),
        ({"exclude": {"seed": 1}}, OptionError, r"wanted tables: \[\[sweep.exclude\]\]"),
        ({"exclude": [{"sede": 1}]}, UnknownName, "did you mean 'seed'"),
        ({"seed": [0, 1], "exclude": [{"seed": 2}]}, OptionError, "has seed 2, and no run has that"),
        ({"seed": [0, 1], "exclude": [{"seed": [0, 1]}]}, OptionError, r"seed of sweep.exclude is \[0, 1\]; one value"),
        ({"seed": [0, 1], "exclude": [{"variant": "a"}]}, OptionError, "has variant a, and no run has that"),
        ({"seed": [0], "exclude": [{"seed": 0}]}, OptionError, "leaves no run"),
        ({"seed": [0], "exclude": [{}]}, OptionError, "leaves no run"),
        ({"zip": 3}, OptionError, r"wanted a table: \[sweep.zip\]"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(table: dict[str, Any], error: type[GanlmError], message: str) -> None:
    with pytest.raises(error, match=message):
        plan(table)


def test_a_file_has_a_base_and_flags_replace_its_lists(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text("[training]\nsteps = 5\n[sweep]\nthreads = 2\nseed = [0, 1]\ngen.layers = [1, 2]\n")
    found = read_plan(default_host(), file, {"seed": ["7"]})
    assert found.threads == 2
    assert [(run.name, run.config.training.steps) for run in found.runs] == [("layers1", 5), ("layers2", 5)]
    assert {run.config.training.seed for run in found.runs} == {7}


def test_a_list_outside_of_sweep_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text("[training]\nsteps = [5, 6]\n")
    with pytest.raises(OptionError, match=r"training.steps is \[5, 6\]; one value is wanted here, and lists go under"):
        read_plan(default_host(), file, {})


def test_runs_may_have_given_names() -> None:
    found = named_plan(default_host(), {"a": ["--gen", "mlp"], "b": ["--seed", "3"]}, threads=2)
    assert [(run.name, run.config.generator.name, run.config.training.seed) for run in found.runs] == [
        ("a", "mlp", 0), ("b", "lstm", 3)
    ]  # fmt: skip
    assert found.threads == 2
