"""What is promised of sentence encoders."""

import numpy as np

from ganlm_core.data.grammar import Grammar
from ganlm_core.errors import UsageError
from ganlm_core.metrics.encoders import Encoder, Features
from ganlm_core.testing.case import Case, Skipped
from ganlm_core.testing.kinds import build

TEXTS = (*Grammar().sample(8, seed=0), "", "x")


def check_features(case: Case) -> None:
    """A row of finite numbers for each sentence, also for an empty one; other sentences have others."""
    features = _encode(case, TEXTS)
    case.expect(
        features.ndim == 2 and len(features) == len(TEXTS),
        f"gives features of shape {features.shape} for {len(TEXTS)} sentences; wanted (N, F)",
    )
    case.expect(bool(np.isfinite(features).all()), "gives features that are not finite")
    case.expect(not np.allclose(features[0], features[1]), "gives the same features to different sentences")


def check_rows(case: Case) -> None:
    """The features of a sentence do not depend on its neighbours, on the seed, or on when it is asked."""
    features = _encode(case, TEXTS)
    again = _encode(case, TEXTS, seed=1)
    case.expect(np.allclose(features, again), "gives other features when it is built again; draw with a fixed seed")
    turned = _encode(case, TEXTS[::-1])[::-1]
    case.expect(np.allclose(features, turned, atol=1e-6), "mixes sentences; encode each by itself")


def _encode(case: Case, texts: tuple[str, ...], seed: int = 0) -> Features:
    encoder: Encoder = build(case, seed=seed)
    try:
        return encoder(texts, str.split)
    except UsageError as error:
        raise Skipped(str(error)) from error


FIRST = (check_features,)
CHECKS = (check_rows,)
