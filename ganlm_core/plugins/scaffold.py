"""``ganlm plugins new``: write a distribution with one component that works, as a start for a plugin.

The templates are the files in ``templates/common`` and in the folder of the kind. In their paths, MODULE and NAME stand
for the new names, and the ending ``.j2`` is dropped.
"""

import importlib.util
import keyword
from collections.abc import Iterator, Mapping
from pathlib import Path

from ganlm_core.components import KINDS, is_name
from ganlm_core.errors import UnknownName, UsageError
from ganlm_core.plugins.host import Host
from ganlm_core.system.files import write_file
from ganlm_core.system.folders import removed_on_failure
from ganlm_core.system.version import __version__

TEMPLATES = Path(__file__).parent / "templates"

SUMMARIES = {
    "generator": "a GRU that starts from the noise",
    "discriminator": "a sum of scores of word pairs at each position",
    "algorithm": "trains the discriminator and the generator in turn",
    "loss": "the hinge loss with an adjustable margin",
    "penalty": "the squared logits of real data",
    "estimator": "the score function with the mean cost as baseline",
    "corpus": "correct sums of two numbers",
    "metric": "the mean number of words per sentence",
    "encoder": "the frequency of each letter in a sentence",
    "reward": "the share of different words in a text",
}
USES = {
    "generator": "ganlm run --gen {name} --disc conv",
    "discriminator": "ganlm run --gen lstm --disc {name}",
    "algorithm": "ganlm run --recipe {name}",
    "loss": "ganlm run --loss {name}",
    "penalty": "ganlm run --penalty {name}",
    "estimator": "ganlm run --estimator {name}",
    "corpus": "ganlm run --data {name}",
    "metric": "ganlm run  # every run measures it",
    "encoder": "ganlm eval RUN --encoder {name}",
    "reward": "ganlm run --reward {name}",
}


def create(host: Host, name: str, kind: str, folder: Path) -> list[Path]:
    """Write the distribution ``name`` into a new folder; return its files.

    Raises UnknownName for the kind, UsageError for a name that is invalid or taken, and GanlmError if the disk refuses.
    The folder does not exist then.
    """
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS, hint=f"the kinds are {', '.join(KINDS)}")
    _check_name(host, name, kind)
    if folder.exists():
        raise UsageError(f"{folder} already exists; choose another name or --out")
    with removed_on_failure(folder):
        return [_write(folder / path, text) for path, text in render(name, kind)]


def use(name: str, kind: str) -> str:
    """Return the command that uses the new component."""
    return USES[kind].format(name=name)


def render(name: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each file in the folder, and its content."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    names = _names(name, kind)
    for root in (TEMPLATES / "common", TEMPLATES / kind):
        for template in sorted(path for path in root.rglob("*.j2") if path.is_file()):
            path = template.relative_to(root).as_posix().removesuffix(".j2")
            path = path.replace("MODULE", names["module"]).replace("NAME", name)
            yield path, environment.from_string(template.read_text(encoding="utf-8")).render(names)


def _names(name: str, kind: str) -> Mapping[str, str]:
    article = "an" if kind[0] in "aeiou" else "a"
    return {
        "name": name,
        "module": name.replace("-", "_"),
        "a_kind": f"{article} {kind}",
        "summary": SUMMARIES[kind],
        "usage": use(name, kind),
        "version": __version__,
    }


def _check_name(host: Host, name: str, kind: str) -> None:
    if not is_name(name):
        raise UsageError(f"{name!r} is not a valid name; use lower-case letters, digits and hyphens, a letter first")
    if name in host.specs(kind):
        raise UsageError(f"{host.full_name(kind, name)} already exists; choose another name")
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or importlib.util.find_spec(module) is not None:
        raise UsageError(f"Python already has a module or keyword '{module}'; choose another name")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, text.encode())
    return path
