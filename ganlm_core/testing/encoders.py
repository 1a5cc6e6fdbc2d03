"""Checks of sentence encoders."""

import numpy as np

from ganlm_core.data.grammar import Grammar
from ganlm_core.errors import UsageError
from ganlm_core.metrics.encoders import Encoder, Features, problem_with_features
from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.kinds import build

TEXTS = (*Grammar().sample(8, seed=0), "", "x")


def check_features(case: Case) -> None:
    """Each sentence, empty or not, gets a row of finite numbers, and different sentences get different rows."""
    features = _encode(case, TEXTS)
    problem = problem_with_features(features, len(TEXTS))
    case.expect(not problem, problem)
    case.expect(
        not np.allclose(features[0], features[1]),
        "gives different sentences the same features; compute them from the text",
    )


def check_rows(case: Case) -> None:
    """The features of a sentence do not depend on other sentences, on the random state or on earlier calls."""
    features = _encode(case, TEXTS)
    again = _encode(case, TEXTS, seed=1)
    case.expect(np.allclose(features, again), "gives other features when it is built again; use a fixed seed")
    turned = _encode(case, TEXTS[::-1])[::-1]
    case.expect(
        np.allclose(features, turned, atol=1e-6),
        "gives features that depend on the other sentences; encode each sentence alone",
    )


def _encode(case: Case, texts: tuple[str, ...], seed: int = 0) -> Features:
    encoder: Encoder = build(case, seed=seed)
    try:
        return encoder(texts, str.split)
    except UsageError as error:
        raise Skipped(str(error)) from error


FIRST = (check_features,)
CHECKS = (check_rows,)
