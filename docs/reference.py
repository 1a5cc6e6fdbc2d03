"""Write plugin-reference.md, the contract with plugins, from the docstrings: ``python docs/reference.py``."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ganlm_core import components, hookspecs, layers, protocol, sampling
from ganlm_core.data import corpus
from ganlm_core.metrics import encoders, metric
from ganlm_core.testing import CHECKS, build, parametrize_with_checks, references

PAGE = Path(__file__).with_name("plugin-reference.md")

SECTIONS: list[tuple[str, ModuleType, tuple[str, ...]]] = [
    (
        "Components",
        components,
        ("ComponentSpec", "Options", "RewardOptions", "LanguageModelOptions", "option", "Measure"),
    ),
    (
        "Networks",
        protocol,
        ("Shape", "Generator", "AutoregressiveGenerator", "Discriminator"),
    ),
    ("Losses, penalties, estimators", protocol, ("Loss", "Penalty", "Estimator", "Sequences", "Batch")),
    ("Rewards", protocol, ("Reward",)),
    ("Training methods", protocol, ("Algorithm", "Phase", "Parts")),
    ("Masks and means", protocol, ("mask_of", "shift", "masked_mean", "per_sequence")),
    (
        "Layers",
        layers,
        (
            "StatefulGenerator",
            "ReadoutGenerator",
            "TokenEmbedding",
            "NoisyEmbedding",
            "NoiseLinear",
            "Dropout",
            "output_layer",
            "hide",
            "max_over_time",
        ),
    ),
    ("Drawing sentences", sampling, ("sample", "relaxed_sample", "log_likelihood", "log_probabilities", "Policy")),
    ("Corpora", corpus, ("Corpus", "Process", "split")),
    ("Metrics", metric, ("Metric", "Subject", "Conditions", "Measured", "Likelihood")),
    ("Sentence encoders", encoders, ("Encoder",)),
]


def page() -> str:
    """Return the page."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield "# The contract with plugins\n"
    yield "`python docs/reference.py` writes this page from the docstrings."
    yield "The tutorial is [write-a-plugin.md](write-a-plugin.md).\n"
    yield f"## Hooks\n\n{_prose(hookspecs)}\n"
    for name in [name for name in vars(hookspecs) if name.startswith("ganlm_")]:
        yield from _entry(getattr(hookspecs, name))
    yield f"## Targets and their arguments\n\n{_prose(protocol)}\n"
    for title, module, names in SECTIONS:
        yield f"## {title}\n\nFrom `{module.__name__}`.\n"
        for name in names:
            yield from _entry(getattr(module, name))
    yield f"## The conformance kit\n\nFrom `{parametrize_with_checks.__module__.rpartition('.')[0]}`.\n"
    yield from _entry(parametrize_with_checks)
    yield from _entry(build)
    yield "Small components for tests, from `ganlm_core.testing.references`.\n"
    for small in (references.Recurrent, references.OneShot, references.Bag, references.BagByPosition, references.batch):
        yield from _entry(small)
    for kind, checks in CHECKS.items():
        yield f"### Checks of `{kind}`\n"
        yield from (f"- `{check.name}`: {check.promise}" for check in checks)
        yield ""


def _entry(what: Any) -> Iterator[str]:
    """Yield the signature and docstring of a function or a class; for a class, also those of its own methods."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(what))).body
    yield f"### `{what.__name__}`\n\n```python\n{_head(node)}\n```\n\n{_prose(what)}\n"
    for method in node.body if isinstance(node, ast.ClassDef) else []:
        if isinstance(method, ast.FunctionDef) and (method.name == "__call__" or method.name[0] != "_"):
            text = textwrap.indent(_plain(ast.get_docstring(method) or ""), "  ")
            yield f"- `{_head(method)}`\n\n{text}".rstrip() + "\n"


def _head(node: ast.AST) -> str:
    """Return the signature of a function, or the bases and fields of a class, as they are written."""
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({ast.unparse(node.args)}){returns}"
    assert isinstance(node, ast.ClassDef)
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    fields = [f"    {ast.unparse(line)}" for line in node.body if isinstance(line, ast.AnnAssign | ast.Assign)]
    return "\n".join([f"class {node.name}{bases}", *fields])


def _prose(what: Any) -> str:
    return _plain(inspect.cleandoc(what.__doc__ or ""))


def _plain(text: str) -> str:
    """Return a docstring as Markdown: references and names as code, columns unchanged."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`").replace("::\n", ":\n")
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        f"```text\n{paragraph}\n```" if re.match(r"\w+ {2,}\w", paragraph) else paragraph for paragraph in paragraphs
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
