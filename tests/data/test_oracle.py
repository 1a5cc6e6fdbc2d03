"""The oracle: exact probabilities, drawing, and its file of weights."""

import itertools
import math
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ganlm_core.data.options import OracleOptions
from ganlm_core.data.oracle import Oracle, oracle_corpus
from ganlm_core.errors import DataError


def tiny_oracle() -> Oracle:
    return Oracle.draw(torch.Generator().manual_seed(0), vocabulary=3, length=3)


def test_the_oracle_computes_what_an_lstm_cell_does() -> None:
    oracle = Oracle.draw(torch.Generator().manual_seed(1), vocabulary=50, length=7)
    cell = torch.nn.LSTMCell(32, 32).double()
    named = {"weight_ih": "input.weight", "weight_hh": "hidden.weight", "bias_ih": "bias"}
    weights = {name: tensor.double() for name, tensor in oracle.weights.items()}
    cell.load_state_dict({key: weights[name] for key, name in named.items()} | {"bias_hh": torch.zeros(128)})
    (text,) = oracle.sample(1, seed=2)
    state, before, expected = None, 0, 0.0
    for word in text.split():
        state = cell(weights["embedding"][before][None], state)
        logits = weights["output.weight"] @ state[0][0] + weights["output.bias"]
        before = int(word[1:])
        expected += logits.log_softmax(0)[before].item()
    assert oracle.log_prob([text]) == pytest.approx([expected], rel=1e-12)  # both in float64


def test_the_probabilities_of_a_tiny_oracle_sum_to_one() -> None:
    texts = [" ".join(words) for words in itertools.product(("w0", "w1", "w2"), repeat=3)]
    assert sum(map(math.exp, tiny_oracle().log_prob(texts))) == pytest.approx(1)


def test_the_oracle_draws_sequences_as_often_as_it_scores_them() -> None:
    oracle, n = tiny_oracle(), 20_000
    drawn = oracle.sample(n, seed=3)
    for text in {*drawn}:
        p = math.exp(oracle.log_prob([text])[0])
        # Five standard errors of a share, and one draw for the rarest: one seed in tens of thousands fails.
        assert drawn.count(text) / n == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / n) + 1 / n)


@pytest.mark.parametrize("text", ["", "w0 w1", "w0 w1 w2 w0", "w0 w1 w3", "w0 w1 w02", "w0 w1 w-1", "w0 w1 <unk>"])
def test_the_oracle_cannot_give_other_sequences(text: str) -> None:
    first, second = tiny_oracle().log_prob([text, "w0 w1 w2"])
    assert first == -math.inf
    assert math.isfinite(second)


def test_an_oracle_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    oracle, path = Oracle.draw(torch.Generator().manual_seed(0), 30, length=3), tmp_path / "oracle.safetensors"
    oracle.save(path)
    again = Oracle.load(path, length=3)
    assert again.log_prob(["w2 w0 w1"]) == oracle.log_prob(["w2 w0 w1"])
    corpus = oracle_corpus(OracleOptions(size=200, weights=str(path), length=3))
    assert corpus.process is not None
    assert corpus.process.log_prob(["w2 w0 w1"]) == oracle.log_prob(["w2 w0 w1"])


def test_a_seed_beyond_32_bits_is_another_seed() -> None:
    """The sequences of a perfect generator have such seeds, and must not repeat the training text."""
    oracle = Oracle.draw(torch.Generator().manual_seed(0), vocabulary=50, length=7)
    large, small = (oracle.sample(20, seed) for seed in (2**32 + 1, 1))
    assert large == oracle.sample(20, 2**32 + 1)
    assert not set(large) & set(small)
    corpora = [oracle_corpus(OracleOptions(size=200, seed=seed, vocabulary=20, length=5)) for seed in (2**32 + 1, 1)]
    one, other = (corpus.process for corpus in corpora)
    assert isinstance(one, Oracle) and isinstance(other, Oracle)
    assert one.log_prob(["w1 w2 w3 w4 w5"]) != other.log_prob(["w1 w2 w3 w4 w5"]), "its weights differ too"


def test_the_seed_fixes_the_oracle_and_its_sequences() -> None:
    options = OracleOptions(size=200, seed=4, vocabulary=20, length=5)
    first, second = oracle_corpus(options), oracle_corpus(options)
    assert first.train == second.train
    other = oracle_corpus(OracleOptions(size=200, seed=5, vocabulary=20, length=5))
    assert first.process is not None and other.process is not None
    assert first.process.log_prob(first.test) != other.process.log_prob(first.test)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(DataError, match=r"^there is no file .*weights\.safetensors; check --corpus\.weights$"):
        Oracle.load(path, 3)
    path.write_bytes(b"not weights")
    with pytest.raises(
        DataError, match=r"weights\.safetensors is not a safetensors file \(.*\); check --corpus\.weights$"
    ):
        Oracle.load(path, 3)

    def refusal(changes: dict[str, torch.Tensor], without: str = "") -> str:
        tensors = {name: tensor for name, tensor in tiny_oracle().weights.items() if name != without}
        safetensors.torch.save_file(tensors | changes, path)
        with pytest.raises(DataError) as caught:
            Oracle.load(path, 3)
        return str(caught.value).removeprefix(f"{path} is not an oracle: ").partition(";")[0]

    assert refusal({"more": torch.zeros(1)}, without="bias") == "bias is missing, more is unknown"
    assert refusal({"bias": torch.zeros(32)}) == "bias is (32,), wanted (128,)"
    assert refusal({"bias": torch.full((128,), math.nan)}) == "bias is not finite floats"
    assert refusal({"embedding": torch.zeros(3)}) == "embedding and output.weight do not both have two dimensions"


def test_every_training_and_every_test_sequence_is_fresh_where_their_numbers_are_given() -> None:
    options = OracleOptions(size=200, vocabulary=10, length=5, test_size=150)
    corpus = oracle_corpus(options)
    assert [len(each) for each in (corpus.train, corpus.validation, corpus.test)] == [200, 10, 150]
    assert len({tuple(each[:10]) for each in (corpus.train, corpus.validation, corpus.test)}) == 3
    assert corpus.train == oracle_corpus(OracleOptions(size=200, vocabulary=10, length=5, test_size=50)).train
    assert not corpus.fixed_length and not corpus.vocabulary


def test_a_corpus_of_fixed_length_says_the_words_of_the_oracle() -> None:
    corpus = oracle_corpus(OracleOptions(size=200, vocabulary=4, length=5, fixed_length=True))
    assert corpus.fixed_length and list(corpus.vocabulary) == ["w0", "w1", "w2", "w3"]
