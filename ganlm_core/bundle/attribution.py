"""Attribution: how much each token adds to a discriminator's logit of a sentence."""

from collections.abc import Callable

import torch
from torch import Tensor

from ganlm_core.protocol import EOS, PAD, mask_of


@torch.no_grad()
def leave_one_out(discriminator: Callable[[Tensor, Tensor], Tensor], tokens: Tensor) -> Tensor:
    """Return the attribution (n,) of each of the n tokens before ``<eos>`` of ids (T,).

    ``discriminator`` gives ids (N, T) with a mask (N, T) one logit each, (N,).

    It is the logit of the sentence minus its logit without the token: erasure (Li et al. 2016, section 3). Differs: the
    token is removed and the later ones move up; the paper sets its embedding to zero, which no discriminator has seen
    in training.
    """
    length = int(mask_of(tokens[None]).sum())
    n = length - int(tokens[length - 1] == EOS)
    padded = torch.cat([tokens, tokens.new_full((1,), PAD)])
    places = torch.arange(len(tokens), device=tokens.device)
    left = torch.arange(n, device=tokens.device)[:, None]
    without = padded[places + (places >= left)]
    rows = torch.cat([tokens[None], without])
    logits = discriminator(rows, mask_of(rows) & (rows != PAD))
    return logits[0] - logits[1:]
