"""Sampling of token sequences: one function for every generator, with a policy; relaxed samples; rollouts.

``<pad>`` and ``<bos>`` have probability zero under every generator, in sampling and in likelihoods. After ``<eos>`` a
sequence is padded, and the padding has log-probability zero.
"""

from ganlm_core.sampling.drawing import PLAIN, Policy, draw, log_probabilities
from ganlm_core.sampling.likelihood import (
    log_likelihood,
    log_marginal,
    log_marginals,
    of_tokens,
    weighted_log_likelihood,
)
from ganlm_core.sampling.mean import MeanGenerator, log_mean
from ganlm_core.sampling.ratio import LikelihoodRatio
from ganlm_core.sampling.relaxation import relaxed_sample
from ganlm_core.sampling.sentences import Sample, map_state, rollouts, sample, select_rows
from ganlm_core.sampling.shared import Draws, draws

__all__ = [
    "PLAIN",
    "Draws",
    "LikelihoodRatio",
    "MeanGenerator",
    "Policy",
    "Sample",
    "draw",
    "draws",
    "log_likelihood",
    "log_marginal",
    "log_marginals",
    "log_mean",
    "log_probabilities",
    "map_state",
    "of_tokens",
    "relaxed_sample",
    "rollouts",
    "sample",
    "select_rows",
    "weighted_log_likelihood",
]
