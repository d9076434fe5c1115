"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path

import psutil


class Cluster:
    """Two nodes: a head that runs nothing, and two workers of one CPU."""

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_hex(16)
        self.environment = {
            **os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token,
            "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0",
        }  # fmt: skip
        self.folder = folder
        self.nodes: list[subprocess.Popen[bytes]] = []
        self._start("--head", "--port=0", "--num-cpus=0", "--include-dashboard=false")
        self.address = self._said(0, r"--address='?([\w.:-]+)")[1]
        for number in (1, 2):
            # One after another: nodes of one machine that start at once may take the same socket.
            self._start(f"--address={self.address}", "--num-cpus=1")
            self._said(number, r"Ray runtime started")

    def _start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *arguments]
        if "--head" in arguments:
            command.append(f"--temp-dir={self.folder}")
        log = (self.folder / f"node{len(self.nodes)}.log").open("w")
        self.nodes.append(
            subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        )
        log.close()

    def _said(self, number: int, pattern: str) -> re.Match[str]:
        """Wait until a node says what is looked for; its end, or two minutes, is an error."""
        deadline, log = time.monotonic() + 120, self.folder / f"node{number}.log"
        while time.monotonic() < deadline:
            found = re.search(pattern, log.read_text())
            if found:
                return found
            if self.nodes[number].poll() is not None:
                break
            time.sleep(0.5)
        self.close()
        raise AssertionError(log.read_text())

    def kill(self, number: int) -> None:
        """End a node with all its processes, at once."""
        parent = psutil.Process(self.nodes[number].pid)
        for process in [*parent.children(recursive=True), parent]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.nodes[number].wait()

    def run(self, *arguments: str, **changes: str) -> subprocess.Popen[str]:
        """Start Python with arguments, and changes of the environment."""
        environment = {**self.environment, **changes}
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def close(self) -> None:
        """End all nodes that still run."""
        for number in reversed(range(len(self.nodes))):
            if self.nodes[number].poll() is None:
                self.kill(number)
