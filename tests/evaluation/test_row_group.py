"""Groups of rows: each subject is made when its row is measured."""

from ganlm_core.data.corpus import Corpus
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.evaluation.row_group import RowGroup
from ganlm_core.evaluation.scores import Row
from ganlm_core.metrics.judge import Judge
from ganlm_core.metrics.metric import Subject
from ganlm_core.protocol import Shape

TEXTS = ["the cat runs", "the dog runs", ""]


def judge() -> Judge:
    tokenizer = Tokenizer.train("word", TEXTS, 100)
    return Judge(Corpus("mine", TEXTS, TEXTS, TEXTS), tokenizer, Shape(tokenizer.vocabulary_size, 4, noise=0), {}, 0)


def test_each_subject_is_made_when_its_row_is_measured() -> None:
    said: list[str] = []

    def make() -> Subject:
        said.append("made")
        return Subject(TEXTS)

    rows = [Row("model", "mine", 0.5), Row("real", "real")]
    filled = RowGroup(rows, [make, make], judge()).measured(3, said.append)
    assert said == []
    assert [(each.row.title, each.row.sentences, each.empty) for each in filled] == [("mine", 3, 1), ("real", 3, 1)]
    assert said == [
        "drawing 3 sentences from mine at temperature 0.5",
        "made",
        "measuring mine at temperature 0.5",
        "made",
        "measuring real",
    ]
