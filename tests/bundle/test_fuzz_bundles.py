"""Bundles that were changed at random: benchmarks/fuzz_bundles.py in small, with a fixed seed."""

import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from ganlm_core.errors import WeightsError
from ganlm_core.plugins.host import Host, default_host
from tests.scripts import benchmark


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    return benchmark("fuzz_bundles")


@pytest.fixture(scope="module")
def plain_host() -> Host:
    default_host.cache_clear()
    return default_host()


@pytest.fixture(scope="module")
def bundles(fuzz: ModuleType, plain_host: Host, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    found: list[Path] = fuzz.make_bundles(tmp_path_factory.mktemp("bundles"), plain_host)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
def test_every_changed_bundle_is_refused_in_one_line_loaded_or_verified(
    fuzz: ModuleType, bundles: list[Path], plain_host: Host, tmp_path: Path
) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(80):
        result = fuzz.measure(bundles, tmp_path, 1, number, plain_host)
        assert not result.fault, result
        outcomes[result.outcome] += 1
    assert min(outcomes[name] for name in ("refused", "loaded", "verified")) >= 5, outcomes


def test_a_case_depends_on_the_seed_and_its_number_alone(fuzz: ModuleType, bundles: list[Path], tmp_path: Path) -> None:
    def crafted(name: str, number: int) -> dict[str, bytes]:
        folder = tmp_path / name
        fuzz.craft(bundles, folder, 5, number)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    assert crafted("a", 3) == crafted("b", 3) != crafted("c", 4)


def test_every_mutation_changes_a_bundle(fuzz: ModuleType, bundles: list[Path], tmp_path: Path) -> None:
    for mutation in fuzz.MUTATIONS:
        folder = shutil.copytree(bundles[0], tmp_path / mutation.__name__)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        mutation(random.Random(1), folder)
        after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        assert before != after, mutation


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (WeightsError("one line"), ""),
        (WeightsError("two\nlines"), "an unfit message: 'two\\nlines'"),
        (WeightsError("\x1b[2J"), "an unfit message: '\\x1b[2J'"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
    ],
)
def test_faults_are_recognised(
    fuzz: ModuleType,
    plain_host: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    fault: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(fuzz, "load", fail)
    assert fuzz.attempt(tmp_path, plain_host) == ("refused", fault)
