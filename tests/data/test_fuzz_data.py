"""Configurations and data files at random: benchmarks/fuzz_data.py in small, with a fixed seed."""

import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import benchmark


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    benchmark("fuzz_bundles")
    return benchmark("fuzz_data")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
def test_every_file_is_taken_or_refused_in_one_line(
    fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLM_CACHE", str(tmp_path / "cache"))
    fuzz.measure(tmp_path, 0, 0)  # what the first use of torch takes is not counted
    outcomes: Counter[tuple[bool, str]] = Counter()
    for number in range(120):
        result = fuzz.measure(tmp_path, 1, number)
        assert not result.fault, result
        outcomes[number % 2 == 0, result.outcome] += 1
    assert min(outcomes[data, name] for data in (True, False) for name in ("taken", "refused")) >= 3, outcomes


def test_a_case_depends_only_on_the_seed_and_its_number(fuzz: ModuleType, tmp_path: Path) -> None:
    def crafted(name: str, number: int) -> list[bytes]:
        (folder := tmp_path / name).mkdir()
        fuzz.craft(folder, 5, number)
        return [path.read_bytes() for path in folder.iterdir()]

    for number in (2, 3):
        assert crafted(f"a{number}", number) == crafted(f"b{number}", number) != crafted(f"c{number}", number + 2)


@pytest.mark.parametrize(
    ("said", "code", "fault"),
    [
        ("ganlm: error: one line\n", 1, False),
        ("a note\nganlm: error: one line\n", 2, False),
        ("ganlm: error: one line\n", 0, True),
        ("", 1, True),
        ("ganlm: error: unexpected KeyError: 'x'\n", 1, True),
        ("Traceback (most recent call last)\nganlm: error: x\n", 1, True),
        ("ganlm: error: \x1b[2J\n", 1, True),
        ("ganlm: error: one line\n", 7, True),
    ],
)
def test_faults_are_recognised(
    fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch, said: str, code: int, fault: bool
) -> None:
    monkeypatch.setattr(fuzz, "ganlm", lambda arguments: (sys.stderr.write(said), code)[1])
    assert bool(fuzz.attempt(["--dry-run"])[1]) == fault
