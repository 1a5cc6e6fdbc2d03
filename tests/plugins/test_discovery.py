"""Finding plugins, and what installed packages may do to it."""

import importlib.metadata
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ganlm_core.components import NoOptions
from ganlm_core.errors import PluginError
from ganlm_core.plugins.discovery import installed
from ganlm_core.plugins.host import Host
from tests.guests import GOOD, HEAD, Install, health_of, write_guest


def test_installed_plugins_are_those_that_importlib_metadata_finds(install: Install) -> None:
    install(GOOD)
    install(GOOD, name="other", distribution="Other_Zoo", version="0.1rc1")
    wanted = {
        (point.name, point.dist.metadata["Name"], point.dist.version)
        for point in importlib.metadata.entry_points(group="ganlm")
        if point.dist
    }
    found = {(one.name, one.origin.distribution, one.origin.version) for part in installed() for one in part}
    assert found == wanted
    assert {("guest", "some-zoo", "2.5"), ("other", "Other_Zoo", "0.1rc1")} < found


def test_an_entry_point_line_without_a_target_is_broken(install: Install, tmp_path: Path) -> None:
    install(GOOD)
    (tmp_path / "some_zoo-2.5.dist-info" / "entry_points.txt").write_text("[ganlm]\nguest\n")
    assert health_of(Host.discover(), "guest") == (
        "broken",
        "its line in entry_points.txt is not 'name = package.module'",
    )


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("GANLM_DISABLE_PLUGINS", "other, guest", "GANLM_DISABLE_PLUGINS names it"),
        ("GANLM_DISABLE_PLUGINS", "all", "GANLM_DISABLE_PLUGINS is all"),
        ("GANLM_PLUGINS", "neighbour", "GANLM_PLUGINS does not name it"),
    ],
)
def test_a_plugin_can_be_disabled_by_the_environment(
    install: Install, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    install("raise AssertionError('it must not be imported')")
    install(GOOD, name="neighbour", distribution="neighbour")
    monkeypatch.setenv(variable, value)
    host = Host.discover()
    assert health_of(host, "guest") == ("disabled", reason)
    assert health_of(host, "algorithms") == ("ok", "")
    assert ("good" in host.specs("loss")) is (value != "all")


def versions_of(distribution: str) -> list[tuple[str, str]]:
    return [(one.name, one.origin.version) for one in installed()[1] if one.origin.distribution == distribution]


@pytest.mark.parametrize(
    ("older", "newer"), [("0.1", "0.2"), ("0.9", "0.10"), ("1.0rc1", "1.0"), ("no version", "0.1")]
)
def test_of_two_leftovers_the_newer_version_counts(install: Install, older: str, newer: str) -> None:
    """An upgrade that was interrupted leaves both, and the older one's module is gone."""
    install("import nowhere", name="old", distribution="old", version=older)
    install(GOOD, name="old", distribution="Old", version=newer)
    assert versions_of("Old") == [("old", newer)] and versions_of("old") == []
    assert health_of(Host.discover(), "old") == ("ok", "")


def test_a_distribution_that_pip_half_removed_does_not_count(install: Install, tmp_path: Path) -> None:
    install("import nowhere")
    (tmp_path / "some_zoo-2.5.dist-info").rename(tmp_path / "~ome_zoo-2.5.dist-info")
    assert versions_of("some-zoo") == []


def test_an_earlier_folder_of_the_path_hides_a_later_one(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(GOOD, version="9.0")
    (tmp_path / "first").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    write_guest(tmp_path / "first", GOOD, version="1.0")
    assert versions_of("some-zoo") == [("guest", "1.0")]


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a folder": lambda file: file.mkdir(),
    "a pipe": lambda file: os.mkfifo(file),
    "a dangling link": lambda file: file.symlink_to("nowhere"),
    "a link to itself": lambda file: file.symlink_to(file),
    "bytes": lambda file: file.write_bytes(bytes(range(256)) * 1000),
    "a hole": lambda file: [file.touch(), os.truncate(file, 2**33)],
}


@pytest.mark.parametrize("name", ["entry_points.txt", "METADATA"])
@pytest.mark.parametrize("write", HOSTILE.values(), ids=HOSTILE)
def test_hostile_metadata_stops_nothing(
    install: Install, tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    install(GOOD)
    install(GOOD.replace('"good"', '"neighbour"'), name="neighbour", distribution="neighbour")
    file = tmp_path / "some_zoo-2.5.dist-info" / name
    file.unlink()
    write(file)
    assert health_of(Host.discover(), "neighbour") == ("ok", "")
    names = [(one.origin.distribution, one.origin.version) for one in installed()[1] if one.name == "guest"]
    assert names == ([] if name == "entry_points.txt" else [("some_zoo", "")])


def test_a_distribution_with_50_000_plugins_is_one_that_is_broken(install: Install, tmp_path: Path) -> None:
    install(GOOD)
    lines = "".join(f"p{number} = nowhere{number}\n" for number in range(50_000))
    (tmp_path / "some_zoo-2.5.dist-info" / "entry_points.txt").write_text(f"[ganlm]\n{lines}")
    started = time.process_time()
    assert [one.name for one in installed()[1] if one.origin.distribution == "some-zoo"] == ["some-zoo"]
    assert time.process_time() - started < 1  # a file that is read to its end takes longer than all others together
    assert health_of(Host.discover(), "some-zoo") == ("broken", "it has more than 100 plugins")


def test_names_from_metadata_are_plain(install: Install, tmp_path: Path) -> None:
    install(GOOD, name="\x1b[2J" + "x" * 1000)
    info = tmp_path / "some_zoo-2.5.dist-info"
    (info / "METADATA").write_text("Name: \x1b]0;title\x07\nVersion: 1\x1b[2J\n")
    (found,) = [one for one in installed()[1] if one.origin.distribution == "some_zoo"]
    assert found.origin.version == "1\\x1b[2J"
    assert found.name.startswith("\\x1b[2Jxxx") and len(found.name) == 255


@pytest.mark.parametrize("name", ["my loss.py", "umläut.py", "a.b-c.py", "a:b.py", "1.py"])
def test_a_local_file_may_have_any_printable_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(HEAD + GOOD)
    host = Host.discover([tmp_path / name], no_plugins=True)
    assert host.origin("loss", "good") == (name, "")
    assert host.build("loss", "good", NoOptions()) == (NoOptions(), {})


@pytest.mark.parametrize("name", ["a\nb.py", "\x1b[2J.py", "a\u202eb.py", os.fsdecode(b"\xff.py")])
def test_a_local_file_whose_name_cannot_be_printed_is_refused_at_the_start(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(HEAD + GOOD)
    with pytest.raises(PluginError, match="has characters that cannot be printed; rename it"):
        Host.discover([tmp_path / name], no_plugins=True)
