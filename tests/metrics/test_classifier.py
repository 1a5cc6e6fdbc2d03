"""The classifier of labels: what it learns, and that its result depends on the text alone."""

import random

import torch

from ganlm_core.metrics.classifier import Classifier


def reviews(seed: int, rows: int = 400) -> tuple[list[str], list[str]]:
    """Texts whose label is told by one word among others, in any place."""
    rng = random.Random(seed)
    texts, labels = [], []
    for _ in range(rows):
        label = rng.choice(["positive", "negative"])
        told = {"positive": ["good", "great"], "negative": ["bad", "dull"]}[label]
        words = [rng.choice(told), *rng.choices(["the", "film", "was", "a", "plot", "by", "some", "one"], k=6)]
        rng.shuffle(words)
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


def test_a_classifier_learns_what_tells_the_labels_and_gives_the_same_result_again() -> None:
    texts, labels = reviews(0)
    found, again = (Classifier(texts, labels, str.split, 2) for _ in range(2))
    held_out, truth = reviews(1)
    assert found(held_out) == again(held_out)
    assert sum(one == other for one, other in zip(found(held_out), truth, strict=True)) > 0.97 * len(truth)


def test_a_classifier_of_characters_reads_their_order() -> None:
    texts = ["ab" * n + "c" for n in range(1, 40)] + ["ba" * n + "c" for n in range(1, 40)]
    labels = ["x"] * 39 + ["y"] * 39
    assert Classifier(texts, labels, list, 4)(["ababc", "babac"]) == ["x", "y"]


def test_training_a_classifier_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    Classifier(["a", "b"], ["x", "y"], str.split, 2)
    assert torch.get_rng_state().equal(before)
