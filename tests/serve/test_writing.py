"""Requests that share a draw, and the words of a sentence."""

from itertools import count

import pytest
import torch
from torch import Tensor

from ganlm_core.bundle.model import Model
from ganlm_core.bundle.select import SELECTIONS, Selected
from ganlm_core.sampling import Policy
from ganlm_core.serve import writing
from ganlm_core.serve.writing import LARGEST_SEED, Request, fresh_seed, words, write
from tests.serve.conftest import AT_ONCE, Ask


def test_requests_of_one_seed_each_get_its_first_sentences(model: Model) -> None:
    one, three = write(model, [Request(1, seed=4), Request(3, seed=4)])
    assert three == model.sample(3, seed=4) and one == three[:1]


def test_requests_without_a_seed_share_a_batch_and_no_sentence_of_it(model: Model) -> None:
    found = write(model, [Request(2), Request(3)])
    assert [len(texts) for texts in found] == [2, 3]


def test_a_selection_that_accepts_nothing_ends_with_the_time_of_its_request(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it does not keep the only thread from the other requests."""
    batches = count()

    def nothing(log_ratios: Tensor, bound: float, rng: torch.Generator) -> Selected:
        assert next(batches) < 3
        return Selected(log_ratios > torch.inf, log_ratios > torch.inf)

    monkeypatch.setitem(SELECTIONS, "rejection", nothing)
    monkeypatch.setattr(writing, "SECONDS", 0.0)
    answer = ask("sample", 503, select="rejection", model=AT_ONCE)
    assert answer["error"]["message"] == "the request took more than 30 seconds; ask for less"
    assert ask("sample", seed=1)["texts"]


def test_a_fresh_seed_is_another_each_time_and_leaves_the_global_random_numbers() -> None:
    before = torch.get_rng_state()
    seeds = {fresh_seed() for _ in range(100)}
    assert len(seeds) == 100 and all(0 <= seed <= LARGEST_SEED for seed in seeds)
    assert torch.get_rng_state().equal(before)


def test_words_have_the_probability_that_drew_them(model: Model) -> None:
    """Under a policy of one word, every word is certain."""
    found = words(model, Request(policy=Policy(top_k=1), seed=3))
    assert " ".join(word.text for word in found).strip() == model.sample(1, seed=3, top_k=1)[0]
    assert [word.probability for word in found] == pytest.approx([1] * len(found))
    assert all(word.alternatives == [(word.text, pytest.approx(1))] for word in found)


def test_the_words_of_a_prompt_are_left_out(model: Model) -> None:
    found = words(model, Request(prompt="the dog", seed=3))
    assert " ".join(["the dog", *(word.text for word in found)]).strip() == model.sample(1, seed=3, prompt="the dog")[0]


def test_a_generator_that_writes_at_once_has_alternatives_too(at_once: Model) -> None:
    found = words(at_once, Request(seed=3))
    assert " ".join(word.text for word in found).strip() == at_once.sample(1, seed=3)[0]
    assert all(0 < word.probability <= 1 for word in found)
