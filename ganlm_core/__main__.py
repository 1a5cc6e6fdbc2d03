"""``python -m ganlm_core`` is ``ganlm``."""

import sys

from ganlm_core.cli import main

sys.exit(main())
