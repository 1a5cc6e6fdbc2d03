"""TensorBoard's own reader gives back the metrics of a run, and without the variable nothing is written."""

import json
import sys
from pathlib import Path

import pytest

from ganlm_core.cli import main

RUN = ["run", "--gen", "ngram-mlp", "--disc", "mlp", "--gen.hidden-size", "8", "--steps", "4", "--batch-size", "8",
       "--evaluation-samples", "20", "--corpus.size", "300", "--log-every", "1", "--evaluate-every", "2", "--json",
       "--out", "small"]  # fmt: skip


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_tensorboard_reads_the_logged_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "TensorBoard is not installed: pip install 'ganlm[tensorboard]'"
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason=reason)
    monkeypatch.setenv("GANLM_TENSORBOARD", "logs")
    assert main(RUN) == 0
    found = reader.EventAccumulator("logs/small")
    found.Reload()
    wanted: dict[str, list[tuple[int, float]]] = {}
    for record in map(json.loads, Path("small/metrics.jsonl").read_text().splitlines()):
        group = "final" if "weights_step" in record else "evaluation" if "evaluation" in record else "step"
        values = record.get("evaluation", record).items()
        for name, value in values:
            if name != "step":
                wanted.setdefault(f"{group}/{name}", []).append((record["step"], pytest.approx(value, rel=1e-6)))
    assert {group.partition("/")[0] for group in wanted} == {"step", "evaluation", "final"}
    read = {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    assert read == wanted
    (*_, last) = found.Tensors("samples/text_summary")
    assert (
        last.tensor_proto.string_val[0].decode().split("\n\n")
        == Path("small/samples/final.txt").read_text().split("\n")[:8]
    )


def test_nothing_is_written_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANLM_TENSORBOARD", raising=False)
    assert main(RUN) == 0
    assert [path.name for path in Path().iterdir()] == ["small"]


def test_a_missing_library_is_reported_once_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GANLM_TENSORBOARD", "logs")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main(RUN) == 0
    wanted = (
        "observer 'tensorboard' failed in ganlm_run_started and is switched off for this run: "
        "GANLM_TENSORBOARD is set, and TensorBoard is not installed; pip install 'ganlm[tensorboard]'"
    )
    assert [line for line in capsys.readouterr().err.splitlines() if "observer" in line] == [wanted]
