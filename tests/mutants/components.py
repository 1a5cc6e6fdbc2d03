"""Specs and options that break a promise of every kind."""

from torch import Tensor

from ganlm_core.algorithms.losses import NonSaturating
from ganlm_core.algorithms.options import NonSaturatingOptions
from ganlm_core.components import Options, option
from ganlm_core.errors import OptionError
from ganlm_core.protocol import Loss
from tests.mutants.breaking import MUTANTS, Mutant, breaks, mutant


class NoHelp(Options):
    size: int = option(1, "", min=1)


class NoBounds(Options):
    size: int = option(1, "how large")


class DefaultOutside(Options):
    """Options whose default is not among the choices, and that do not check themselves."""

    kind: str = option("red", "which", choices=("green", "blue"))

    def __post_init__(self) -> None:
        pass


class Grows(Options):
    size: int = option(1, "how large", min=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "size", self.size + 1)


class Size(Options):
    size: int = option(4, "how large", min=1)


class OneIsTooFew(Options):
    size: int = option(1, "how large", max=9)


class Elsewhere(Options):
    """Options whose module cannot be imported."""

    __module__ = "nowhere"


class Leaves(Options):
    """Options whose module ends the interpreter that imports it."""

    __module__ = "tests.mutants.leaving"


@breaks("loss", "component.check_declaration", "does not implement generator, which its base class requires; write it")
class Unfinished(Loss):
    def __init__(self, options: Options) -> None:
        pass

    def discriminator(self, real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
        return real, generated


@breaks(
    "loss",
    "component.check_defaults",
    "does not accept the arguments options= (...unexpected keyword argument 'options'); accept them",
)
class TakesNoOptions(NonSaturating):
    def __init__(self, margin: float = 1.0) -> None:
        super().__init__(NonSaturatingOptions())


@breaks(
    "loss",
    "component.check_defaults",
    "gave a value of type NoLoss, and must be a ganlm_core.protocol.Loss; derive it from that",
)
class NoLoss:
    def __init__(self, options: Options) -> None:
        pass


@breaks(
    "loss",
    "component.check_defaults",
    "cannot be built from its defaults: size is 0; wanted more; choose defaults that work",
)
class RefusesDefaults(NonSaturating):
    def __init__(self, options: Options) -> None:
        raise OptionError("size is 0; wanted more")


@breaks(
    "loss",
    "component.check_smallest",
    "cannot be built with size=1: size is 1; wanted at least 2; raise the min of these options",
    options=Size,
)
class NotSmall(NonSaturating):
    def __init__(self, options: Size) -> None:
        super().__init__(NonSaturatingOptions())
        if options.size < 2:
            raise OptionError(f"size is {options.size}; wanted at least 2")


HINGE = "ganlm_core.algorithms.losses:Hinge"

MUTANTS += [
    Mutant(
        mutant("loss", HINGE, summary=""),
        "component.check_declaration",
        "has no one-line summary; 'ganlm list' shows it",
    ),
    Mutant(
        mutant("loss", HINGE, recipe=3),
        "component.check_declaration",
        "is not well formed: component 'loss' 'wrong': summary, source and recipe are text",
    ),
    Mutant(
        mutant("loss", "math:pi"),
        "component.check_declaration",
        "has a target, math:pi, that cannot be called; name a class",
    ),
    Mutant(
        mutant("loss", "math:tau_and_pi"),
        "component.check_declaration",
        "raised AttributeError: module 'math' has no attribute 'tau_and_pi' in the check of: The spec is well "
        "formed, has a one-line summary, and names a target and a recipe that exist.",
    ),
    Mutant(
        mutant("loss", "ganlm_core.algorithms.losses:Hing"),
        "component.check_declaration",
        "has a target, ganlm_core.algorithms.losses:Hing, that does not exist: ...losses.py has no Hing; "
        "did you mean 'Hinge'?",
    ),
    Mutant(
        mutant("generator", "ganlm_core.testing.references:Recurrent", recipe="autoregresive"),
        "component.check_declaration",
        "names the recipe 'autoregresive', which does not exist; did you mean 'autoregressive'?",
    ),
    Mutant(
        mutant("loss", "numpy.random:default_rng"),
        "component.check_light_import",
        "imports numpy when it is listed; import that only in the module of its target",
    ),
    Mutant(
        mutant("loss", HINGE, Elsewhere),
        "component.check_light_import",
        "cannot be imported in a new interpreter: ModuleNotFoundError: No module named 'nowhere'",
    ),
    Mutant(
        mutant("loss", HINGE, Leaves),
        "component.check_light_import",
        "cannot be imported in a new interpreter: it exits with 0",
    ),
    Mutant(
        mutant("loss", HINGE, NoHelp),
        "component.check_options",
        "has an option, size, without one line of help",
    ),
    Mutant(
        mutant("loss", HINGE, NoBounds),
        "component.check_options",
        "has an option, size, without bounds; give option() a min or a max",
    ),
    Mutant(
        mutant("loss", HINGE, DefaultOutside),
        "component.check_declaration",
        "is not well formed: component 'loss' 'wrong': kind is 'red'; 'red' is not one of 'green', 'blue'; "
        "choose a default that fits",
    ),
    Mutant(
        mutant("loss", HINGE, Grows),
        "component.check_options",
        "has options that change in a round trip through JSON; let __post_init__ check values, not change them",
    ),
]
