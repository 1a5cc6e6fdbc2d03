"""The anchor, against divergences that are enumerated over three words."""

import torch

from ganlm_core import sampling
from ganlm_core.algorithms.anchor import Anchor
from ganlm_core.protocol import EOS, Batch
from tests.tiny import NOISE, TinyGenerator, TinyOneShot, every_sequence

ROWS = 4096


def batch(step: int) -> Batch:
    noise = NOISE.expand(ROWS, -1)
    tokens = torch.zeros(ROWS, 3, dtype=torch.long)
    return Batch(tokens, tokens > 0, noise, step=step)


def test_an_anchor_is_zero_at_the_start_and_remembers_it() -> None:
    torch.manual_seed(0)
    generator = TinyGenerator()
    anchor = Anchor(generator, 2.0, adversarial_from=5)
    with torch.no_grad():
        generator.table.add_(1.0)
    assert anchor(generator, batch(5)).item() == 0
    kept = {name: value.clone() for name, value in anchor.start.state_dict().items()}
    with torch.no_grad():
        generator.table.mul_(0.5)
    assert anchor(generator, batch(5), first=False).item() > 0  # a later generator step of the same round
    assert anchor(generator, batch(6)).item() > 0
    assert all(torch.equal(anchor.start.state_dict()[name], value) for name, value in kept.items())
    assert not any(parameter.requires_grad for parameter in anchor.start.parameters())


def test_an_anchor_is_the_weighted_divergence_of_whole_sentences() -> None:
    """Summed over the positions, the divergences of next words are the KL of whole sentences, by the chain rule."""
    torch.manual_seed(1)
    generator, start = TinyGenerator(), TinyGenerator()
    anchor = Anchor(start, 0.5, adversarial_from=0)
    tokens, mask = every_sequence()
    noise = NOISE.expand(len(tokens), -1)
    own, other = (sampling.log_likelihood(each, noise, tokens, mask).sum(dim=1) for each in (generator, start))
    exact = (own.exp() * (own - other)).sum()
    given = batch(1)
    found = anchor(generator, given)
    assert abs(found.item() - 0.5 * exact.item()) < 0.03 * exact.item()
    assert given.metrics["distance_from_start"].item() * 0.5 == found.item()


def test_an_anchor_holds_a_generator_that_writes_all_positions_at_once_also_if_all_sentences_are_short() -> None:
    torch.manual_seed(2)
    generator, start = TinyOneShot(), TinyOneShot()
    with torch.no_grad():
        for each in (generator, start):
            each.prior[1:, EOS] += 50.0
    given = batch(1)
    assert Anchor(start, 1.0, adversarial_from=0)(generator, given).isfinite()
    assert sampling.draws(generator, given).trimmed[0].shape[1] == 2
