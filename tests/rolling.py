"""A plugin with one recipe, ``rolling``, for tests of recipes."""

from pathlib import Path

RECIPE = """
[about]
summary = "rolls out"
paper = "Yu et al. 2017, Alg. 1"
needs = "an autoregressive generator, rollouts"

[about.paper_values]
"training.batch_size" = "64"
"estimator.rollout.samples" = "16"
"training.clip" = "none"
"optimizer.generator.sgd.lr" = "0.01"
"discriminator" = "a CNN with highway layers"

[algorithm.adversarial]

[estimator.rollout]
samples = 4

[optimizer.generator.adam]
schedule = "cosine"

[training]
batch_size = 32
prior = false
"""
PLUGIN = """
from pathlib import Path
from ganlm_core.hookspecs import hookimpl

@hookimpl
def ganlm_recipes():
    yield Path(__file__).with_name("rolling.toml")
"""


def write_plugin(folder: Path) -> Path:
    """Write the plugin and its recipe into ``folder``, and return the file for ``--plugin``."""
    (folder / "rolling.toml").write_text(RECIPE)
    path = folder / "rolling.py"
    path.write_text(PLUGIN)
    return path
