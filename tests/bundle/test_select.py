"""Selection by the discriminator, against distributions over every sequence of a three-word vocabulary."""

import pytest
import torch
from torch import Tensor

from ganlm_core.bundle.select import SELECTIONS, Selected, Tally, metropolis_hastings, rejection, rerank, resample
from ganlm_core.sampling import log_likelihood
from tests.tiny import SHAPE, TinyDiscriminator, TinyGenerator, chi_square, every_sequence

UNLIKELY = 0.001


@pytest.fixture(scope="module")
def known() -> tuple[Tensor, Tensor]:
    """q (N,) of a generator over every sequence, and a discriminator's logits (N,): log p - log q plus a constant."""
    torch.manual_seed(0)
    tokens, mask = every_sequence()
    noise = torch.randn(1, SHAPE.noise).expand(len(tokens), -1)
    q = log_likelihood(TinyGenerator(), noise, tokens, mask).sum(dim=1).exp().detach()
    return q, TinyDiscriminator()(tokens, mask).detach() / 2


def select(name: str, known: tuple[Tensor, Tensor], groups: int, k: int) -> tuple[Tensor, Selected]:
    """The share of each sequence in the selection from groups of k candidates drawn from q."""
    q, logits = known
    rng = torch.Generator().manual_seed(7)
    candidates = q.multinomial(groups * k, replacement=True, generator=rng).view(groups, k)
    selected = SELECTIONS[name](logits[candidates], logits.max().item(), rng)
    return candidates[selected.taken].bincount(minlength=len(q)), selected


@pytest.mark.parametrize(
    ("name", "groups", "k"), [("rejection", 40_000, 1), ("mh", 10_000, 64), ("resample", 5_000, 512)]
)
def test_selected_sentences_follow_the_density_of_real_text(
    known: tuple[Tensor, Tensor], name: str, groups: int, k: int
) -> None:
    """q D / (1 - D), normalised. A chain of 64 has forgotten its start; of 512 weights the mean is all but exact."""
    q, logits = known
    p = q * logits.exp()
    counts, selected = select(name, known, groups, k)
    assert chi_square(counts, p / p.sum()) > UNLIKELY
    assert chi_square(counts, q) < 1e-6, "the test could not tell p from q"
    assert selected.taken.shape == (groups, k)
    if name != "rejection":
        assert selected.taken.sum(dim=1).eq(1).all()


def test_rejection_accepts_one_in_m(known: tuple[Tensor, Tensor]) -> None:
    """E_q[p / (M q)] = (sum of q D / (1 - D)) / M; of 40,000 the share has a standard error of 0.25%."""
    q, logits = known
    _, selected = select("rejection", known, 40_000, 1)
    wanted = (q * logits.exp()).sum() / logits.max().exp()
    assert selected.accepted.float().mean().item() == pytest.approx(wanted.item(), abs=0.01)


def test_the_best_of_k_follows_its_order_statistic(known: tuple[Tensor, Tensor]) -> None:
    """P(best = x) = F(x)^k - F(x-)^k, with F the distribution function of q in the order of the logits."""
    q, logits = known
    order = logits.argsort()
    cumulative = q[order].cumsum(dim=0) / q.sum()
    wanted = torch.empty_like(q)
    wanted[order] = cumulative**5 - torch.cat([torch.zeros(1), cumulative[:-1]]) ** 5
    counts, _ = select("rerank", known, 20_000, 5)
    assert chi_square(counts, wanted.clamp(min=0)) > UNLIKELY


def test_a_single_candidate_is_taken() -> None:
    rng = torch.Generator().manual_seed(0)
    for select_one in (metropolis_hastings, resample, rerank):
        assert select_one(torch.randn(9, 1), 0.0, rng).taken.all()


def test_a_chain_moves_to_the_more_real_candidate_and_stays() -> None:
    ratios = torch.tensor([[0.0, 50.0, 0.0, 0.0], [50.0, 0.0, 0.0, 100.0]])
    found = metropolis_hastings(ratios, 0.0, torch.Generator().manual_seed(0))
    assert found.accepted.tolist() == [[False, True, False, False], [False, False, False, True]]
    assert found.taken.tolist() == found.accepted.tolist()


def test_a_candidate_above_the_bound_is_always_taken() -> None:
    found = rejection(torch.tensor([[3.0, -40.0], [3.0, 3.0]]), 1.0, torch.Generator().manual_seed(0))
    assert found.taken.tolist() == [[True, False], [True, True]]


def test_a_tally_by_hand() -> None:
    """Weights 1, 1, 2 and 4: (1 + 1 + 2 + 4)^2 / (1 + 1 + 4 + 16) = 64 / 22 of 4 candidates."""
    tally = Tally()
    assert (tally.effective, tally.acceptance) == (0.0, 0.0)
    first, second = torch.tensor([[True, False]]), torch.tensor([[True, True]])
    tally.add(torch.tensor([[1.0, 1.0]]).log(), Selected(first, first))
    tally.add(torch.tensor([[2.0, 4.0]]).log(), Selected(first, second))
    assert (tally.candidates, tally.taken, tally.accepted) == (4, 2, 3)
    assert tally.effective == pytest.approx(64 / 22 / 4)
    assert tally.acceptance == 0.75


def test_ratios_beyond_all_numbers_are_counted() -> None:
    tally, one = Tally(), torch.tensor([[True, False]])
    tally.add(torch.tensor([[800.0, 1.0]]), Selected(one, one))
    assert tally.effective == 0.5
