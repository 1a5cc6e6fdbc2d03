"""metrics.jsonl: its lines, its damage, and a disk that is full."""

import os
import re
from pathlib import Path

import pytest

from ganlm_core.errors import GanlmError, WeightsError
from ganlm_core.training.metrics_log import MetricsLog


@pytest.fixture
def log(tmp_path: Path) -> MetricsLog:
    return MetricsLog(tmp_path / "metrics.jsonl")


def test_metrics_are_json_lines_with_sorted_keys_and_no_nan(log: MetricsLog) -> None:
    log.append({"step": 20, "loss": 0.5, "accuracy": float("nan")})
    log.append({"step": 40, "loss": 1e-9})
    assert log.path.read_text() == '{"accuracy": null, "loss": 0.5, "step": 20}\n{"loss": 1e-09, "step": 40}\n'


def test_truncation_gives_the_bytes_of_a_run_that_stopped_there(log: MetricsLog) -> None:
    for step in (20, 40):
        log.append({"step": step, "loss": 0.1 / 3})
    wanted = log.path.read_bytes()
    log.append({"step": 60, "loss": 1.0})
    with log.path.open("a") as file:
        file.write('{"loss": 0.3, "st')
    assert log.truncate(2) == 2
    assert log.path.read_bytes() == wanted
    assert log.truncate(5) == 2, "there are no more"


@pytest.mark.parametrize("width", [1, 1000, 100_000])
def test_the_last_record_is_the_last_whole_line(log: MetricsLog, width: int) -> None:
    assert log.last() is None
    log.path.write_text('{"ste')
    assert log.last() is None
    log.path.unlink()
    for step in (1, 2, 3):
        log.append({"step": step, "collapse": "x" * width})
        assert log.last() == log.read()[-1]
    with log.path.open("a") as file:
        file.write('{"step": 4, "st')
    assert log.last() == {"step": 3, "collapse": "x" * width}
    with log.path.open("a") as file:
        file.write("\n")
    with pytest.raises(WeightsError, match=r"metrics\.jsonl is damaged in"):
        log.last()


def test_a_damaged_line_before_the_last_is_an_error(log: MetricsLog) -> None:
    log.path.write_text('{"step": 1}\n{"step": 2\n{"step": 3}\n')
    with pytest.raises(WeightsError, match=r"metrics\.jsonl is damaged in line 2 \("):
        log.read()


@pytest.mark.parametrize("line", ["5", "[]", '{"loss": 1}', '{"step": "1"}', "[" * 100_000])
def test_a_line_that_is_no_record_of_a_step_is_damage(log: MetricsLog, line: str) -> None:
    log.path.write_text(f'{line}\n{{"step": 2}}\n')
    with pytest.raises(WeightsError, match=r"metrics\.jsonl is damaged"):
        log.read()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"step": 1, "loss": "low"}', "'loss' is 'low'; wanted a number or null"),
        ('{"step": 1, "loss": NaN}', "'loss' is nan; wanted a number or null"),
        ('{"step": 1, "loss": [1]}', "'loss' is [1]; wanted a number or null"),
        ('{"step": 1, "loss": 1e301}', "'loss' is 1e+301; wanted a number or null"),
        ('{"step": 1' + "0" * 400 + "}", "'step' is 100000000000000000...0000000000000000000; wanted a number or null"),
        ('{"step": 1, "evaluation": [1]}', "'evaluation' is [1]; wanted values by name"),
        ('{"step": 1, "evaluation": {"valid": {}}}', "'valid' is {}; wanted a number or null"),
        ('{"step": 1, "evaluation": {"evaluation": [1]}}', "'evaluation' is [1]; wanted a number or null"),
        ('{"step": 1, "evaluation": {}, "collapse": 1}', "'collapse' is 1; wanted text"),
        ('{"step": 1, "rollback": 1}', "a rollback has no 'reason'"),
    ],
)
def test_a_value_of_another_type_is_damage(log: MetricsLog, line: str, reason: str) -> None:
    log.path.write_text(f"{line}\n")
    for read, where in ((log.read, "line 1"), (log.last, "its last line")):
        with pytest.raises(WeightsError) as caught:
            read()
        assert str(caught.value) == (
            f"{log.path} is damaged in {where} ({reason}); remove that line or start a new run"
        )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs are POSIX's")
def test_a_pipe_is_not_waited_for(log: MetricsLog) -> None:
    os.mkfifo(log.path)
    for read in (log.read, log.last):
        with pytest.raises(WeightsError) as caught:
            read()
        assert str(caught.value) == (f"{log.path} is not a plain file; put the file back as it was, or start a new run")


def test_a_file_of_many_gigabytes_is_not_read(log: MetricsLog) -> None:
    with log.path.open("wb") as file:
        file.truncate(6 * 2**30)  # sparse: it takes no room
    for read in (log.read, log.last):
        with pytest.raises(WeightsError) as caught:
            read()
        assert str(caught.value) == (
            f"{log.path} has 6442450944 bytes, more than the 268435456 allowed; "
            "put the file back as it was, or start a new run"
        )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_while_appending(log: MetricsLog) -> None:
    log.path.symlink_to("/dev/full")
    message = f"cannot write {log.path}: No space left on device; free some space"
    with pytest.raises(GanlmError, match=re.escape(message)):
        log.append({"step": 1})
