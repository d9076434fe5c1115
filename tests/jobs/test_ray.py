"""Jobs on a Ray cluster of two nodes on this machine, one of which is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.ray_cluster import Cluster

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
WAITING = """
import sys, time
from sdcl_neuro.jobs.executors import ray_executor
from sdcl_neuro.notices import listening

said, end = [], time.monotonic() + 120
while not said and time.monotonic() < end:  # a node that was killed counts for some seconds more
    with listening(said.append), ray_executor(sys.argv[1]):
        time.sleep(1)
print(*said)
"""


def test_a_client_without_the_token_is_kept_out(cluster: Cluster, tmp_path: Path) -> None:
    process = cluster.run("-c", SCRIPT, str(tmp_path), cluster.address, RAY_AUTH_TOKEN="0" * 32)
    out, error = process.communicate(timeout=240)
    assert process.returncode != 0
    assert "EnvironmentFault" in error
    assert "Failed to connect" in error  # the same address lets the next test in
    assert "in\n" not in out
    assert not list(tmp_path.iterdir())


def test_a_killed_node_costs_only_its_jobs(cluster: Cluster, tmp_path: Path) -> None:
    process = cluster.run("-c", SCRIPT, str(tmp_path), cluster.address)
    told = [process.stdout.readline() for _ in range(4)]  # "in", then three jobs
    assert told[0] == "in\n", process.communicate()[1]
    cluster.kill(1)
    out, error = process.communicate(timeout=500)
    assert "12 of 12 jobs done" in out, error
    contents = {(tmp_path / f"{number}.json").read_bytes() for number in range(12)}
    assert len(contents) == 1


def test_a_cluster_without_a_processor_is_said(cluster: Cluster, tmp_path: Path) -> None:
    for number, node in enumerate(cluster.nodes[1:], 1):
        if node.poll() is None:
            cluster.kill(number)
    process = cluster.run("-c", WAITING, cluster.address)
    out, error = process.communicate(timeout=240)
    assert "has no CPU now: jobs begin when a node with one joins it" in out, error
