"""The engine on a Ray cluster: the same stages as actors of Ray Data, which places, feeds and restarts them."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, cast

from auricle.batch.recognising import Settings
from auricle.batch.stages import Reader, Recogniser, Stage
from auricle.bundle import find_bundle, write_bundle
from auricle.errors import AuricleError

_BLOCK_TASKS = 16
_BLOCK_BYTES = 12 << 20  # about a unit: one long recording is spread while it is still being cut
# Read ahead for each worker: what it is at, what waits for it, and as much again on the way. Ray's own bound is a part
# of the store of all nodes, which readers of a few would fill theirs with, and then write to disk and read again.
_BLOCKS_AHEAD = 4
# One worker for each core, and half of it asked for: when a node is lost, its actors find room beside the others.
# What they were at would otherwise wait until others have nothing left to do, or for another node.
_WORKER_CPUS, _READER_CPUS = 0.4, 0.2
_WORKERS_A_READER = 8
_PATIENCE_SECONDS = 10.0
Row: TypeAlias = dict[str, bytes]
_VALUE = "value"  # the one column, pickled


def run_ray(
    tasks: Iterator[Any],
    *,
    rate: int | None,
    settings: Settings | None,
    processes: int | None,
    address: str | None,
    worker: Callable[[Any], Stage] = Recogniser,
    counted: Callable[[int], None] = lambda workers: None,
) -> Iterator[Any]:
    """Yield what the actors of a cluster make of the tasks, in any order and possibly more than once: see `run_local`.

    Without an `address` it is the cluster that RAY_ADDRESS names, or one on this machine that ends with the iterator.
    There are `processes` workers, by default one for each core of the cluster, and `counted` is told how many. The
    tasks lie in Ray's object store, about 0.2 kB for each recording, and not in this process. Raises AuricleError when
    the cluster cannot do it.
    """
    with _cluster(address, processes) as ray:
        count = processes or max(1, int(ray.cluster_resources().get("CPU", 1)))
        counted(count)
        refs = [ray.put(block) for block in _blocks(tasks)]
        dataset = _dataset(refs, rate, {"worker": worker, **_portable(ray, settings)}, count)
        try:
            for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for content in batch.column(_VALUE):
                    yield pickle.loads(content.as_py())
        except (ray.exceptions.RayError, ray.exceptions.RayTaskError) as error:
            raise AuricleError(f"the Ray cluster gave up: {_reason(error)}") from error


class RayReader:
    """A reader as an actor: each row is a task, and becomes the rows of its units."""

    def __init__(self, rate: int) -> None:
        self._reader = Reader(rate)

    def __call__(self, row: Row) -> Iterator[Row]:
        """Yield the units."""
        for unit in self._reader(pickle.loads(row[_VALUE])):
            yield {_VALUE: pickle.dumps(unit, protocol=pickle.HIGHEST_PROTOCOL)}


class RayWorker:
    """A worker as an actor. The model is the user's file, which no other machine of the cluster need have."""

    def __init__(self, worker: Callable[[Any], Stage], settings: Settings | None, model: list[Any]) -> None:
        if settings and model:
            import ray

            # For as long as this process lives, and the next actor of this machine need not know.
            self._folder = tempfile.TemporaryDirectory(prefix="auricle-", ignore_cleanup_errors=True)
            path = Path(self._folder.name, "model.auricle")
            path.write_bytes(cast("bytes", ray.get(model[0])))
            settings = Settings(str(path), settings.language_model, settings.beam)
        self._worker = worker(settings)

    def __call__(self, row: Row) -> Row:
        """Return what was made of it."""
        made = self._worker(pickle.loads(row[_VALUE]))
        return {_VALUE: pickle.dumps(made, protocol=pickle.HIGHEST_PROTOCOL)}


def _dataset(refs: list[Any], rate: int | None, working: dict[str, Any], count: int) -> Any:
    """Return the pipeline: readers where there is a rate, and `count` workers that are made with these arguments."""
    from ray.data import ActorPoolStrategy, DataContext, ExecutionResources, from_arrow_refs

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = _BLOCK_BYTES
    ahead = ExecutionResources.for_limits(object_store_memory=count * _BLOCKS_AHEAD * _BLOCK_BYTES)
    context.execution_options.resource_limits = ahead
    dataset = from_arrow_refs(refs)
    if rate:
        dataset = dataset.flat_map(
            RayReader,
            fn_constructor_kwargs={"rate": rate},
            compute=ActorPoolStrategy(size=-(-count // _WORKERS_A_READER)),
            num_cpus=_READER_CPUS,
        )
    return dataset.map(
        RayWorker,
        fn_constructor_kwargs=working,
        compute=ActorPoolStrategy(size=count),
        num_cpus=_WORKER_CPUS,
    )


def _blocks(tasks: Iterator[Any]) -> Iterator[Any]:
    import pyarrow as pa

    while block := list(islice(tasks, _BLOCK_TASKS)):
        yield pa.table({_VALUE: pa.array([pickle.dumps(task) for task in block], pa.binary())})


def _portable(ray: Any, settings: Settings | None) -> dict[str, Any]:
    """Return the settings and, where the model is a file of this machine, its content in the object store."""
    if settings is None or settings.model is None or not Path(settings.model).exists():
        return {"settings": settings, "model": []}
    path = Path(settings.model)
    if path.is_file():
        return {"settings": settings, "model": [ray.put(path.read_bytes())]}
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, "model.auricle")
        write_bundle(find_bundle(path), packed)
        return {"settings": settings, "model": [ray.put(packed.read_bytes())]}


@contextmanager
def _cluster(address: str | None, processes: int | None) -> Iterator[Any]:
    """Connect to a cluster, or start one here, and leave it at the end."""
    address = address or os.environ.get("RAY_ADDRESS")
    _reach(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    # Standard error is for what the user has to know: a lost actor is Ray's affair, and is started again.
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    warnings.filterwarnings("ignore", module=r"ray\.")
    import ray
    import ray.data  # which sets up its logger, so that what follows lasts

    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address:
        options["address"] = address
    else:
        options |= {"address": "local", "include_dashboard": False}
        options |= {"num_cpus": processes} if processes else {}
    # Of a lost node, Ray prints pages on standard output, and has no option against it.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = options["address"]
            raise AuricleError(f"{where}: no Ray cluster can be reached there ({_reason(error)}).") from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _reach(address: str | None) -> None:
    """Raise AuricleError when nobody listens at an address: Ray would wait, and then end this process."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():  # "auto", or one that Ray refuses
        return
    try:
        socket.create_connection((host, int(port)), _PATIENCE_SECONDS).close()
    except OSError as error:
        raise AuricleError(f"{address}: no Ray cluster can be reached there ({error.strerror or error}).") from error


def _reason(error: BaseException) -> str:
    """Return the last line of what may be a traceback from another machine."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
