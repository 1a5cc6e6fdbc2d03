"""The names under which the first kit was called."""

from typing import Any

from ganlm_core.components import ComponentSpec
from ganlm_core.testing.case import Case
from ganlm_core.testing.component import heavy_import
from ganlm_core.testing.runner import run_checks


def check_generator(spec: ComponentSpec, **options: Any) -> None:
    failed = [result.message for result in run_checks(Case(spec, options)) if result.status == "failed"]
    assert not failed, failed[0]


check_discriminator = check_generator


def check_light(package: str) -> None:
    assert not heavy_import((package,)), f"{package} imports torch"
