"""The steps of a pack by compiled code: model after model, an epoch of each at a time.

Weights and moments of a model then stay in the nearest cache for a whole epoch, and
there is no cost of a call that a stack would have to share. The code is built with the
machine's own C compiler, if it has one, when it is first used.
"""

import atexit
import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from platformdirs import user_cache_path
from torch import Tensor

from dwindle.store.records import Optimizer
from dwindle.study import machine
from dwindle.study.cost import VECTOR_BYTES, padded
from dwindle.study.models import LAYER_NORM_EPSILON, Batches, Models, Samples

SWITCH = "DWINDLE_COMPILED"  # "0" trains without compiled steps
_SOURCE = Path(__file__).with_name("steps.c")
_HEADER = _SOURCE.with_name("vectors.h")
_FLAGS = (
    *("-O3", "-march=native", "-shared", "-fPIC"),
    # Also against options in CC: these change sums, and all are one engine version.
    *("-fno-fast-math", "-fno-unsafe-math-optimizations", "-fno-associative-math"),
    *("-fno-reciprocal-math", "-fno-finite-math-only"),
    # Square roots as one instruction; vectors may alias arrays of numbers.
    *("-fno-math-errno", "-fno-strict-aliasing"),
)
# What the number of lanes and the constants of vectors.h follow from.
_REALS = {
    "float32": ("-DREAL=float",),
    "float64": ("-DREAL=double", "-DREAL_IS_DOUBLE"),
}
_PATIENCE_SECONDS = 60  # two are usual
# A folder of these could hold somebody else's code, and we would run it.
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LOG = logging.getLogger("dwindle")


@cache
def compiled_steps(dtype: str) -> ctypes.CDLL | None:
    """Return the compiled steps for ``float32`` or ``float64``, None without any.

    They are built once per machine and kept in the user's cache folder. Without a C
    compiler, or with one that does not support our vectors, training goes through
    PyTorch's operations: slower, and rounded differently. Where there is a compiler,
    or ``CC`` names one, and it does not work, a warning is logged.
    """
    if os.environ.get(SWITCH) == "0" or sys.platform == "win32":
        return None
    try:
        named = shlex.split(os.environ.get("CC", "")) or ["cc"]
        compiler = shutil.which(named[0])
        if compiler is not None:
            library = ctypes.CDLL(str(_built((compiler, *named[1:]), dtype)))
            library.dwindle_scratch_size.restype = ctypes.c_long
            library.dwindle_epoch.restype = None
            return library
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        why = str(error)
    else:
        if "CC" not in os.environ:
            return None  # a machine without a compiler, as many are
        why = f"{named[0]} is not on the path"
    got = f"CC={os.environ['CC']!r}: {why}" if "CC" in os.environ else why
    _LOG.warning("Steps must compile, and training goes without: slower. Got %s.", got)
    return None


def _built(compiler: tuple[str, ...], dtype: str) -> Path:
    """Return the library, compiled unless it is there already, and whole."""
    options = (*_FLAGS, *_REALS[dtype])
    sources = (_SOURCE.read_text(), _HEADER.read_text())
    # What -march=native depends on: a home may be shared by machines.
    processor = machine.processor("model name", "flags", "Features")
    parts = (*sources, *compiler, *options, platform.machine(), *processor)
    name = _digest("\0".join(parts).encode())
    folder = _cache_folder()
    for library in folder.glob(f"steps-{name}-*.so"):
        # Its name has a hash of its content: to load a damaged library would crash.
        if library.stem.endswith(_digest(library.read_bytes())):
            return library
        library.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fresh = Path(scratch) / "steps.so"
        subprocess.run(  # noqa: S603 # our own source, the user's own compiler
            [*compiler, *options, "-o", str(fresh), str(_SOURCE), "-lm"],
            check=True,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
        )
        with fresh.open("rb") as file:
            library = folder / f"steps-{name}-{_digest(file.read())}.so"
            os.fsync(file.fileno())
        # Several workers may build at once: each puts a whole file into place.
        return fresh.replace(library)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]  # 96 bits make a name unique


def _cache_folder() -> Path:
    """Return a folder that nobody else can write to: code is loaded from it."""
    folder = user_cache_path("dwindle", appauthor=False)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.stat()
    if facts.st_uid == os.getuid() and not facts.st_mode & _WRITABLE_BY_OTHERS:
        return folder
    # Somebody else may have put something there: build anew, for this process alone.
    private = tempfile.mkdtemp(prefix="dwindle-")
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return Path(private)


class _Options(ctypes.Structure):
    """The struct ``optimizer`` of steps.c."""

    _fields_ = (
        *((name, ctypes.c_long) for name in ("adam", "nesterov", "decoupled")),
        *((name, ctypes.c_double) for name in ("momentum", "dampening")),
        *((name, ctypes.c_double) for name in ("beta1", "beta2", "epsilon")),
    )


class _Network(ctypes.Structure):
    """The struct ``network`` of steps.c."""

    _fields_ = (
        *((name, ctypes.c_long) for name in ("layers", "batch", "stride")),
        ("norm_epsilon", ctypes.c_double),
        ("units", ctypes.POINTER(ctypes.c_long)),
        ("decays", ctypes.POINTER(ctypes.c_double)),
        ("options", _Options),
    )


class CompiledSteps:
    """Trains a pack with compiled steps. It owns weights and moments while it does.

    Weights come from the pack, and go back in :meth:`finish`. A group is of models that
    share a seed, with their training set.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        pack: Models,
        options: Optimizer,
        groups: Sequence[tuple[slice, Samples]],
        batch_size: int,
    ) -> None:
        layout = pack.layout
        lanes = VECTOR_BYTES * 8 // torch.finfo(layout.dtype).bits
        self._library, self._pack = library, pack
        stride = padded(batch_size, lanes)
        self._groups = [
            (models, _CompiledEpoch(samples, batch_size, stride))
            for models, samples in groups
        ]
        sizes = [(i + 1) * padded(o, lanes) for i, o in layout.shapes]
        self._states = layout.full((3, layout.models, sum(sizes)))
        for mine, theirs in self._weights(sizes):
            mine.copy_(theirs)
        self._sizes = sizes
        networks = [
            _network(pack, options, decays, batch_size, stride)
            for decays in pack.decays.t().tolist()
        ]
        scratch = library.dwindle_scratch_size(ctypes.byref(networks[0]))
        self._scratch = layout.full((scratch,))  # one for all: they train in turn
        # Made once: for small networks even these would take their time.
        self._arguments = [
            (
                ctypes.byref(network),
                (*map(_pointer, self._states[:, model]), _pointer(self._scratch)),
            )
            for model, network in enumerate(networks)
        ]
        self._ratios = pack.lr_ratios.numpy()

    def _weights(self, sizes: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the weights of each layer, here and in the pack, alike in shape."""
        layout = self._pack.layout
        parts = self._states[0].split(list(sizes), dim=1)  # type: ignore[no-untyped-call] # torch
        for i, (part, (fan_in, fan_out)) in enumerate(
            zip(parts, layout.shapes, strict=True)
        ):
            mine = part.view(layout.models, fan_in + 1, -1)[:, :, :fan_out]
            yield mine.transpose(1, 2), layout.matrices(self._pack.weights[i], i)

    def epoch(
        self, orders: Sequence[NDArray[np.int64]], first: int, lrs: Sequence[float]
    ) -> Tensor:
        """Take a step per lr, after ``first`` others; give Σ log p, (steps, models)."""
        steps = len(lrs)
        losses = np.empty((self._pack.layout.models, steps))
        every_lr = self._ratios[:, None] * np.array(lrs)
        for (models, epoch), order in zip(self._groups, orders, strict=True):
            epoch.shuffle(torch.from_numpy(order))
            for model in range(models.start, models.stop):
                network, states = self._arguments[model]
                self._library.dwindle_epoch(
                    network,
                    *epoch.arguments,
                    ctypes.c_void_p(every_lr[model].ctypes.data),
                    ctypes.c_long(steps),
                    ctypes.c_long(first),
                    *states,
                    ctypes.c_void_p(losses[model].ctypes.data),
                )
        return torch.from_numpy(-losses.T)

    def finish(self) -> None:
        """Put the weights back where they came from."""
        for mine, theirs in self._weights(self._sizes):
            theirs.copy_(mine)


class _CompiledEpoch:
    """The inputs of a group in batches, and its labels by sample."""

    def __init__(self, samples: Samples, batch_size: int, stride: int) -> None:
        self._classes = samples.labels.int()
        self._inputs = Batches(samples.inputs, batch_size, stride)
        self._labels = self._classes.clone()
        pointers = _pointer(self._inputs.stored), _pointer(self._labels)
        self.arguments = (*pointers, ctypes.c_long(len(samples)))

    def shuffle(self, order: Tensor) -> None:
        self._inputs.shuffle(order)
        torch.index_select(self._classes, 0, order, out=self._labels)


def _network(
    pack: Models,
    options: Optimizer,
    decays: Sequence[float],
    batch_size: int,
    stride: int,
) -> _Network:
    shapes = pack.layout.shapes
    units = (shapes[0][0], *(fan_out for _, fan_out in shapes))
    return _Network(
        layers=len(shapes),
        batch=batch_size,
        stride=stride,
        norm_epsilon=LAYER_NORM_EPSILON if pack.layout.layer_norm else 0.0,
        units=(ctypes.c_long * len(units))(*units),
        decays=(ctypes.c_double * len(decays))(*decays),
        options=_Options(
            adam=options.name != "sgd",
            nesterov=options.nesterov,
            decoupled=options.name == "adamw",
            momentum=options.momentum,
            dampening=options.dampening,
            beta1=options.betas[0],
            beta2=options.betas[1],
            epsilon=options.eps,
        ),
    )


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
