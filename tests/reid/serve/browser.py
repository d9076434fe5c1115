"""Chromium, driven by its own protocol over a WebSocket: no driver to install."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


class Page:
    """One page: what it says, what it asked for, and what a person would do with it."""

    def __init__(self, connection: Any) -> None:
        self._connection, self._number = connection, 0
        self.errors: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._connection.send(
            json.dumps({"id": self._number, "method": method, "params": parameters})
        )
        while True:
            message = json.loads(self._connection.recv(timeout=30))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if phone else 1, mobile=phone)  # fmt: skip

    def dark(self, on: bool) -> None:
        value = "dark" if on else "light"
        feature = {"name": "prefers-color-scheme", "value": value}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def run(self, script: str) -> Any:
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, script: str, *, within: float = 40.0) -> None:
        """Wait until a script gives something true."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            if self.run(f"!!({script})"):
                return
            time.sleep(0.1)
        raise AssertionError(f"never: {script}\n{self.run('document.body.innerText')[:2000]}")

    def key(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            text = key if kind == "keyDown" and len(key) == 1 else ""
            code = {"Enter": 13, "Escape": 27, "Tab": 9}.get(key, ord(key[0]))
            self.call("Input.dispatchKeyEvent", type=kind, key=key,
                      text="\r" if key == "Enter" and kind == "keyDown" else text,
                      windowsVirtualKeyCode=code)  # fmt: skip

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def _note(self, message: dict[str, Any]) -> None:
        method, values = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(values["exceptionDetails"])[:500])
        elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning"):
            self.errors.append(json.dumps(values["args"])[:500])
        elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{values['entry']['text']} {values['entry'].get('url', '')}"[:500])
        elif method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])


@contextmanager
def opened(folder: Path) -> Iterator[Page]:
    """A browser with one empty page, which ends with the block."""
    from websockets.sync.client import connect

    assert CHROMIUM is not None
    profile = folder / "browser"
    command = [
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--remote-debugging-port=0", "--remote-allow-origins=*"),
        *(f"--user-data-dir={profile}", "about:blank"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _port(profile / "DevToolsActivePort")
        address = _page_address(port)
        with connect(address, max_size=64 << 20, open_timeout=30, ping_interval=None) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _port(path: Path) -> int:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.exists() and (lines := path.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.05)
    raise AssertionError("chromium did not start")


def _page_address(port: int) -> str:
    from http.client import HTTPConnection

    end = time.monotonic() + 30
    while time.monotonic() < end:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/json")
        found = json.loads(connection.getresponse().read())
        connection.close()
        pages = [one for one in found if one["type"] == "page"]
        if pages:
            return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise AssertionError("chromium opened no page")
