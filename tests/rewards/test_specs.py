"""The built-in rewards are registered through the entry point of the distribution."""

from ganlm_core.plugins.host import Host
from ganlm_core.rewards.specs import REWARDS


def test_the_host_knows_every_built_in_reward() -> None:
    known = Host.discover(no_plugins=True).specs("reward")
    assert {spec.name for spec in REWARDS} <= known.keys()
