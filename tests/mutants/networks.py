"""Networks that break a promise of both generators and discriminators."""

import random

import torch
from torch import Tensor, nn

from ganlm_core.components import NoOptions, Options, option
from ganlm_core.protocol import Shape
from ganlm_core.testing.references import Bag
from tests.mutants.breaking import breaks


class Dropout(Options):
    dropout: float = option(0.0, "dropout before the logits", min=0, max=0.9)


@breaks(
    "discriminator",
    "networks.check_seeded_build",
    "has weights that do not depend on the seed; do not set torch's random state",
)
class SeedsItself(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        torch.manual_seed(0)
        super().__init__(shape, options)


@breaks(
    "discriminator",
    "networks.check_seeded_build",
    "has other weights when it is built again with the same seed; use torch's random state only",
)
class DrawsFromElsewhere(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        nn.init.constant_(self.places, random.random())


@breaks(
    "discriminator",
    "networks.check_without_values",
    "reads values of tensors in its constructor (...); compute with plain Python numbers there",
)
class ReadsItsWeights(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.scale = self.places.std().item()


@breaks("discriminator", "networks.check_without_values", "puts ones on a fixed device; leave out device=")
class PlacesABuffer(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.register_buffer("ones", torch.ones(2, device="cpu"))


@breaks(
    "discriminator", "networks.check_batch_order", "mixes the rows of the batch; compute each row from that row alone"
)
class MixesRows(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).cumsum(dim=0)


@breaks(
    "discriminator",
    "networks.check_gradients",
    "has a parameter, spare, that gets no gradient; use it or remove it",
)
class Unused(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.spare = nn.Parameter(torch.zeros(2))


@breaks("discriminator", "networks.check_modes", "is random in evaluation mode; check self.training, or use nn.Dropout")
class AlwaysRandom(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return nn.functional.dropout(super().features(sequence, mask), 0.5)


@breaks("discriminator", "networks.check_modes", "changes its buffers in evaluation mode; check self.training")
class Counts(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.register_buffer("calls", torch.zeros(()))

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        self.calls += 1
        return super().features(sequence, mask)


@breaks("discriminator", "networks.check_modes", "changes its own mode; leave its mode to the caller")
class KeepsTraining(Bag):
    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        self.train()
        return super().features(sequence, mask)


@breaks(
    "discriminator",
    "networks.check_dropout",
    "has an option, dropout, without effect in training; apply it",
    options=Dropout,
)
class IgnoresDropout(Bag):
    pass


@breaks(
    "discriminator",
    "networks.check_scale",
    "gives NaN or infinity when its parameters are ten times as large; normalise, or use log-softmax and clamp",
)
class Explodes(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).square().exp()


@breaks(
    "discriminator",
    "networks.check_float32",
    "gives logits of type torch.float64 in float32; use the dtype of its parameters",
)
class AlwaysDouble(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask).double()


@breaks(
    "discriminator",
    "networks.check_bfloat16",
    "does not run under bfloat16 autocast (...); give new tensors the dtype of their neighbours",
)
class LeavesAutocast(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        features = self.hidden(self.features(sequence, mask))
        with torch.autocast("cpu", enabled=False):
            return (features @ self.output.weight.T).squeeze(-1)


@breaks(
    "discriminator", "networks.check_bfloat16", "gives other logits under bfloat16 autocast; compute sums in float32"
)
class CancelsInHalves(Bag):
    """Adds 1000 and subtracts it again, which loses all digits in bfloat16."""

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return (self.output(self.features(sequence, mask)) + 1000 - 1000).squeeze(-1)


@breaks(
    "discriminator",
    "networks.check_cuda",
    "does not run on CUDA (...); register buffers, and make tensors on the device of their input",
)
class StaysBehind(Bag):
    """Keeps a tensor on the CPU."""

    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.ones = torch.ones(8, dtype=torch.float64)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, mask) * self.ones


@breaks(
    "discriminator",
    "networks.check_safetensors",
    "has tensors outside its state_dict; make each a parameter, or use register_buffer",
)
class HidesAWeight(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.scale = 1 + torch.rand(8)

    def features(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().features(sequence, mask) * self.scale


@breaks(
    "discriminator",
    "networks.check_deepcopy",
    "shares parameters with its deep copy; keep modules as attributes, not inside functions",
)
class HidesAModule(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        last = self.output
        self.read = lambda features: last(features).squeeze(-1)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return self.read(self.features(sequence, mask))


@breaks(
    "discriminator",
    "networks.check_bfloat16",
    "gives NaN or infinity under bfloat16 autocast; compute sums in float32",
)
class InfiniteInHalves(Bag):
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        logits = super().forward(sequence, mask)
        return logits / (logits.dtype != torch.bfloat16)


@breaks(
    "discriminator",
    "networks.check_deepcopy",
    "gives other logits after copy.deepcopy; keep all of its state in its modules",
)
class DependsOnIdentity(Bag):
    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__(shape, options)
        self.scales = {id(self): 2.0}

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return super().forward(sequence, mask) * self.scales.get(id(self), 1.0)
