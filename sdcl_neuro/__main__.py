"""``python -m sdcl_neuro``: the command line."""

from __future__ import annotations

import sys

from sdcl_neuro.cli import main

sys.exit(main())
