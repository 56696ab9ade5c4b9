"""A Ray cluster of separate nodes on this machine, and S3 beside it: what a batch can lose, and go on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

QUIET = {"RAY_enable_metrics_collection": "0", "RAY_task_events_report_interval_ms": "0"}
"""Nothing is counted for a dashboard that is not there: a fiftieth of a core, and all nodes here have two together."""
RAY = Path(sys.executable).with_name("ray")
READER, WORKER = "RayReader", "RayWorker"
_OBJECT_STORE_BYTES = 250_000_000
_START_SECONDS = 180.0  # Ray's own processes are many, and the machine may be at something else
_STOP_SECONDS = 30.0


class Node:
    """A node as `ray start` makes it; its processes are those of one session, and nobody else's."""

    def __init__(self, folder: Path, environment: dict[str, str], *arguments: object) -> None:
        # The folder's path is short: sockets lie in it, whose names have at most 107 bytes.
        options = ["--object-store-memory", _OBJECT_STORE_BYTES, "--temp-dir", folder, "--disable-usage-stats"]
        options += ["--include-log-monitor", "false"]  # nobody reads what it sends
        # Ports that the system chooses: two nodes of one machine would want the same ones.
        options += ["--min-worker-port", 0, "--max-worker-port", 0, "--block"]
        self._log = folder / "start.log"
        folder.mkdir()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [RAY, "start", *map(str, [*arguments, *options])],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when it has started."""
        deadline = time.monotonic() + _START_SECONDS
        while "Ray runtime started" not in (said := self._log.read_text()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ray start did not succeed: {said}")
            time.sleep(0.2)

    def workers(self, role: str) -> list[int]:
        """The processes of the actors of a stage, READER or WORKER."""
        return [pid for pid, line in self._processes() if line.startswith("ray::MapWorker") and role in line]

    def kill(self) -> None:
        """End the node as a power cut does: its raylet, and all the others at the same moment."""
        for pid, _ in sorted(self._processes(), key=lambda one: "raylet" not in one[1]):
            os.kill(pid, signal.SIGKILL)
        self.stop()

    def terminate(self) -> None:
        """Ask the node to end. Not by `ray stop`, which ends every cluster of the machine."""
        self._process.terminate()

    def stop(self) -> None:
        """End the node, and whatever it has left."""
        self.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid, _ in self._processes():
            os.kill(pid, signal.SIGKILL)

    def _processes(self) -> list[tuple[int, str]]:
        """The processes of the node's session with their command lines."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = entry.read_text().rpartition(")")[2].split()[:4]
                line = entry.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has ended meanwhile
                continue
            if int(session) == self._process.pid and state != "Z":
                found.append((int(entry.parent.name), line))
        return found


class Cluster:
    """A head without cores and some workers of one core each. `environment` is that of all nodes and of the driver."""

    def __init__(self, workers: int = 2) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        self._count = 0
        # Whoever has ever started Ray has a token in his home, and then nodes, driver and actors disagree on using it.
        self.environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        # Ray's own choice is 15: on a machine that has anything else to do, its workers would get nothing at all.
        self.environment |= {"RAY_worker_niceness": "0", **QUIET}
        self.nodes: list[Node] = []
        port = _free_port()
        self.address = f"127.0.0.1:{port}"
        options = ["--port", port, "--ray-client-server-port", _free_port(), "--include-dashboard", "false"]
        self._head = self._started("--head", "--num-cpus", 0, *options)
        try:
            self._head.wait()
            for _ in range(workers):
                self._joined()
            for node in self.nodes:
                node.wait()
        except BaseException:
            self.close()
            raise

    def add(self) -> None:
        """Start one more worker node."""
        self._joined().wait()

    def lose(self, node: Node) -> None:
        """Kill a worker node."""
        self.nodes.remove(node)
        node.kill()

    def spilled(self) -> str:
        """What Ray says of objects that were written to disk for want of memory: nothing when there were none."""
        command = [str(RAY), "memory", "--stats-only", "--address", self.address]
        said = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout
        return "".join(line.strip() for line in said.splitlines() if line.startswith(("Spilled", "Restored")))

    def close(self) -> None:
        """End every node."""
        every = [*self.nodes, self._head]
        for node in every:
            node.terminate()
        for node in every:
            node.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _joined(self) -> Node:
        self.nodes.append(node := self._started("--address", self.address, "--num-cpus", 1))
        return node

    def _started(self, *arguments: object) -> Node:
        self._count += 1
        return Node(self._folder / str(self._count), self.environment, *arguments)


@contextmanager
def bucket_server() -> Iterator[tuple[Any, dict[str, str]]]:
    """Serve an empty S3 on loopback: a client of it, and what other programs need in their environment to reach it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {
            "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        client = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        yield client, environment
        client.close()
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
