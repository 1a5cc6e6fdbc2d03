from collections.abc import Callable

import torch
from ganlm_core.protocol import Shape
from ganlm_core.testing import Case, parametrize_with_checks

from ganlm_gru import ganlm_components
from ganlm_gru.networks import GRUDiscriminator, GRUGenerator
from ganlm_gru.options import GRUDiscriminatorOptions, GRUGeneratorOptions

GENERATOR, DISCRIMINATOR = ganlm_components()
SHAPE = Shape(vocabulary=9, length=5, noise=3)


@parametrize_with_checks([GENERATOR, (GENERATOR, {"layers": 2, "dropout": 0.5}), DISCRIMINATOR])
def test_conformance(component: Case, check: Callable[[Case], None]) -> None:
    check(component)


def test_the_noise_gives_every_layer_its_own_state() -> None:
    torch.manual_seed(0)
    state = GRUGenerator(SHAPE, GRUGeneratorOptions(hidden_size=4, layers=2)).start(torch.randn(3, SHAPE.noise))
    assert state.shape == (3, 2, 4)
    assert state.unique().numel() == 24


def test_features_are_the_maximum_over_time() -> None:
    torch.manual_seed(0)
    discriminator = GRUDiscriminator(SHAPE, GRUDiscriminatorOptions(hidden_size=4)).eval()
    tokens, mask = torch.tensor([[4, 5, 6]]), torch.tensor([[True, True, False]])
    states, _ = discriminator.gru(discriminator.embedding(tokens))
    torch.testing.assert_close(discriminator.features(tokens, mask), states[:, :2].amax(dim=1))
