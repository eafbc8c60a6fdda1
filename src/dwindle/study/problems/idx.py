"""The IDX files of MNIST and its heirs: a big-endian header, then bytes."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dwindle.errors import DataFilesError

_UNSIGNED_BYTE = 8
_HEADER = 4
_REMEDY = "Fetch the file again; a download may have been cut off."


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of an IDX file, plain or gzip.

    The header is two zero bytes, the type (8: unsigned byte), the number of axes, and
    the length of each axis in four bytes.

    Raises:
        DataFilesError: If header and size do not fit each other.

    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (EOFError, OSError, zlib.error) as reason:
        raise DataFilesError(str(path), "readable", str(reason), _REMEDY) from reason
    header = content[:_HEADER]
    if len(header) < _HEADER or header[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        must = "an IDX file of unsigned bytes"
        raise DataFilesError(str(path), must, f"the header {header!r}", _REMEDY)
    start = _HEADER + 4 * header[3]
    shape = np.frombuffer(content[_HEADER:start], dtype=">u4").astype(int)
    if len(content) - start != shape.prod():
        must = f"{shape.prod():,} bytes long, as its header says"
        raise DataFilesError(str(path), must, f"{len(content) - start:,}", _REMEDY)
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
