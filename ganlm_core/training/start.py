"""The start of a run: its tokenizer and weights, new or from the bundles that the configuration names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import nn

from ganlm_core.bundle import start as bundles
from ganlm_core.bundle.load import check_finite, read_tokenizer
from ganlm_core.bundle.manifest import CONFIG, TOKENIZER, Descent, build, weights_file
from ganlm_core.bundle.start import Parent
from ganlm_core.config.run_config import RunConfig
from ganlm_core.data.tokenizer import Tokenizer
from ganlm_core.errors import PluginError, UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.protocol import Shape
from ganlm_core.system.header import read_header
from ganlm_core.system.printable import shown
from ganlm_core.system.sums import check_sum, read_sums
from ganlm_core.system.tensors import check_header, read_tensors, without_memory
from ganlm_core.training.growing import CannotGrow, grown_state


@dataclass(frozen=True)
class Start:
    """The bundle of each network that does not start new, by network, and their tokenizer. Both may be empty."""

    host: Host
    origins: Mapping[str, Parent] = field(default_factory=dict)
    tokenizer: Tokenizer | None = None
    grow: bool = False

    @classmethod
    def of(cls, host: Host, config: RunConfig) -> "Start":
        """Read what a run starts from. Raises the errors of :func:`ganlm_core.bundle.start.check`, and WeightsError."""
        found = bundles.check(host, config)
        if not found:
            return cls(host)
        main = found.get("generator") or found["discriminator"]
        tokenizer = read_tokenizer(main.folder / TOKENIZER, Shape(**main.manifest.sizes))
        return cls(host, found, tokenizer, config.start.grow_vocabulary)

    @property
    def descent(self) -> Descent:
        """The line of descent of each network that comes from a bundle."""
        return {network: origin.line(network) for network, origin in self.origins.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return :attr:`descent` as run.json has it."""
        return {network: [asdict(ancestor) for ancestor in line] for network, line in self.descent.items()}

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise UsageError, with both, unless the text has the labels of the bundles in their order."""
        for origin in self.origins.values():
            if (known := tuple(origin.manifest.labels)) != tuple(labels):
                column = "choose a --corpus.label column with the labels of the bundle"
                advice = column if known else "leave out --corpus.label"
                raise UsageError(
                    f"{origin.source} has {_named(known)}, and the text has {_named(labels)}; {advice}, or train new "
                    "networks without --from"
                )

    def load(self, kind: str, network: nn.Module, shape: Shape) -> None:
        """Give a network of ``shape`` the weights of its bundle; do nothing for a new network.

        Raises UsageError for a length of sequences that the network cannot take, PluginError for a network that cannot
        grow, and WeightsError for weights that do not verify.
        """
        if kind in self.origins:
            network.load_state_dict(self._state(self.origins[kind], kind, network, shape))
            check_finite(weights_file(self.origins[kind].folder, kind), network)

    def _state(self, origin: Parent, kind: str, network: nn.Module, shape: Shape) -> Mapping[str, object]:
        """Return the weights of a bundle in the shapes of ``network``."""
        path, old = weights_file(origin.folder, kind), Shape(**origin.manifest.sizes)
        check_sum(origin.folder, path.name, read_sums(origin.folder))
        header = read_header(path)
        with without_memory(len(header.tensors)):
            as_saved = self._built(origin, kind, old)
            check_header(path, header, as_saved)
            as_long = self._built(origin, kind, replace(old, length=shape.length))
        if changed := _other_shape(as_saved, as_long):
            raise UsageError(
                f"the {kind} of {origin.source} has sequences of {old.length} tokens, and cannot take sequences of "
                f"{shape.length} ({changed}); leave out --tokenizer.max-length, or train new networks without --from"
            )
        try:
            behind = old.of(kind).vocabulary - old.vocabulary
            return grown_state(read_tensors(path), as_long, network, old.vocabulary, shape.vocabulary, behind)
        except CannotGrow as reason:
            name = self.host.full_name(kind, origin.manifest.components[kind].name)
            raise PluginError(
                f"the vocabulary of {name} cannot grow: {reason}; leave out --grow-vocabulary, or take another network"
            ) from None

    def _built(self, origin: Parent, kind: str, shape: Shape) -> nn.Module:
        built: nn.Module = build(self.host, origin.folder / CONFIG, origin.manifest, kind, shape.of(kind))
        return built


def _named(labels: Sequence[str]) -> str:
    return f"the labels {shown(list(labels))}" if labels else "no labels"


def _other_shape(one: nn.Module, other: nn.Module) -> str:
    """Describe the first tensor that only one of two networks has in its shape; empty if there is none."""
    before, after = ({name: list(tensor.shape) for name, tensor in each.state_dict().items()} for each in (one, other))
    names = sorted(name for name in before | after if before.get(name) != after.get(name))
    return f"{names[0]}: {before.get(names[0], 'nothing')} -> {after.get(names[0], 'nothing')}" if names else ""
