"""The built-in corpora, as they are registered."""

from pathlib import Path

from ganlm_core.data.corpus import Corpus
from ganlm_core.data.options import SPLITS
from ganlm_core.data.specs import CORPORA, ganlm_components
from ganlm_core.plugins.host import Host


def test_every_corpus_is_registered_once_with_its_summary() -> None:
    assert [*ganlm_components()] == [*CORPORA]
    assert {spec.name for spec in CORPORA} == {"grammar", "passwords", "oracle", "file"}
    assert all(spec.kind == "corpus" and spec.summary for spec in CORPORA)


def test_every_corpus_can_be_built(host: Host, tmp_path: Path) -> None:
    (path := tmp_path / "lines.txt").write_text("\n".join(f"sentence {number}" for number in range(200)))
    for spec in CORPORA:
        options = spec.options.of({"path": str(path)} if spec.name == "file" else {"size": 200}, spec.name)
        corpus = host.build("corpus", spec.name, options)
        assert isinstance(corpus, Corpus)
        assert all(getattr(corpus, split) for split in SPLITS)
        assert (corpus.process is None) == (spec.name == "file")
