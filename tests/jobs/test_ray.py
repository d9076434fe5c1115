"""Jobs on a Ray cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = """
import sys
from pathlib import Path
from sdcl_neuro.jobs import Job, run_jobs
from sdcl_neuro.jobs.executors import ray_executor

folder, address = Path(sys.argv[1]), sys.argv[2]
jobs = []
for number in range(12):
    out = folder / f"{number}.json"
    jobs.append(Job(str(number), ("hw", "list", "--json", str(out)), out))
with ray_executor(address) as executor:
    print("in", flush=True)
    summary = run_jobs(
        jobs, executor, state=folder / "state.json", on_end=lambda one: print(one.name, flush=True)
    )
print(summary)
"""


class Cluster:
    """Two nodes: a head that runs nothing, and two workers of one CPU."""

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_hex(16)
        self.environment = {
            **os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token,
            "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0",
        }  # fmt: skip
        self.folder, self.nodes = folder, []
        self._start("--head", "--port=0", "--num-cpus=0", "--include-dashboard=false")
        self.address = self._address()
        for _ in range(2):
            self._start(f"--address={self.address}", "--num-cpus=1")

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

    def _address(self) -> str:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            text = (self.folder / "node0.log").read_text()
            found = re.search(r"--address='?([\w.:-]+)", text)
            if found:
                return found[1]
            assert self.nodes[0].poll() is None, text
            time.sleep(0.5)
        raise AssertionError((self.folder / "node0.log").read_text())

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
        """Start the script."""
        environment = {**self.environment, **changes}
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="ray is not installed")
    made = Cluster(Path(tempfile.mkdtemp(prefix="ray-")))  # its sockets need a short path
    yield made
    for number in (2, 1, 0):
        if made.nodes[number].poll() is None:
            made.kill(number)


def test_a_client_without_the_token_is_kept_out(cluster: Cluster, tmp_path: Path) -> None:
    process = cluster.run(str(tmp_path), cluster.address, RAY_AUTH_TOKEN="0" * 32)
    out, error = process.communicate(timeout=240)
    assert process.returncode != 0
    assert "EnvironmentFault" in error
    assert "Failed to connect" in error  # the same address lets the next test in
    assert "in\n" not in out
    assert not list(tmp_path.iterdir())


def test_a_killed_node_costs_only_its_jobs(cluster: Cluster, tmp_path: Path) -> None:
    process = cluster.run(str(tmp_path), cluster.address)
    told = [process.stdout.readline() for _ in range(4)]  # "in", then three jobs
    assert told[0] == "in\n", process.communicate()[1]
    cluster.kill(1)
    out, error = process.communicate(timeout=500)
    assert "12 of 12 jobs done" in out, error
    contents = {(tmp_path / f"{number}.json").read_bytes() for number in range(12)}
    assert len(contents) == 1
