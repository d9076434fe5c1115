"""The code of a how-to page, put in place of the file that the page asks for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def follow(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a page's first Python block as a module of ours; return the second, which is the row."""

    def take(page: str, module_name: str) -> str:
        text = (root / "docs" / "how-to" / f"{page}.md").read_text("utf-8")
        code, row = re.findall(r"```python\n(.*?)```", text, re.S)
        module = ModuleType(module_name)
        exec(compile(code, f"{page}.md", "exec"), module.__dict__)
        monkeypatch.setitem(sys.modules, module_name, module)
        return row.strip()

    return take
