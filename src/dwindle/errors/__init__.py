"""Every error of dwindle: facts as attributes, one text that says what to do.

The tree (each class is also the builtin that fits it)::

    DwindleError
    ├── RangeError           ValueError    a number outside of its range
    ├── UnknownNameError     LookupError   a name that is in no table
    ├── AmbiguousNameError   LookupError   a short name that fits several
    ├── MissingFactError     LookupError   a formula needs a fact that was not given
    ├── OscillationError     ValueError    momentum makes the decaying weight swing
    ├── UsageError           ValueError    a command line that cannot be read
    ├── StudyFileError       ValueError    a study file with mistakes, all of them
    ├── StudyStoppedError    RuntimeError  interrupted, everything finished is kept
    ├── WorkerError          RuntimeError  processes that train cannot be started
    ├── StoreError           OSError       the file of results
    │   ├── StoreLockedError     another process writes to it
    │   ├── StoreDamagedError    its bytes are not what was written
    │   ├── StoreUnlikeError     it holds results of other conditions
    │   ├── StoreFormatError     it is something else, or newer than this dwindle
    │   └── StoreAccessError     the disk is full, or the file cannot be reached
    ├── DataFilesError       OSError       the data of a problem is absent or damaged
    ├── MissingLibraryError  ImportError   an optional library is not installed
    ├── ReportWriteError     OSError       a page or picture cannot be written
    ├── OutputExistsError    OSError       a page would replace a file that must stay
    ├── CheckpointError      ValueError    a controller's state of another optimizer
    ├── CertificationError   RuntimeError  an optimizer that no controller can hold
    ├── AuditTargetError     ValueError    a file or function that cannot be audited
    ├── PatternError         LookupError   a pattern that fits no parameter of a model
    ├── UnexpectedError      RuntimeError  a failure that no other class describes
    └── RefusedError         TypeError     no honest answer exists

    DoubleDecayWarning       UserWarning   a penalty and the optimizer, same weights

"""

from dwindle.errors.base import (
    DwindleError,
    UnexpectedError,
)
from dwindle.errors.inputs import (
    AmbiguousNameError,
    MissingFactError,
    OscillationError,
    RangeError,
    RefusedError,
    UnknownNameError,
    UsageError,
)
from dwindle.errors.stores import (
    StoreAccessError,
    StoreDamagedError,
    StoreError,
    StoreFormatError,
    StoreLockedError,
    StoreUnlikeError,
)
from dwindle.errors.studies import (
    DataFilesError,
    StudyFileError,
    StudyStoppedError,
    WorkerError,
)
from dwindle.errors.surroundings import (
    MissingLibraryError,
    OutputExistsError,
    ReportWriteError,
)
from dwindle.errors.targets import AuditTargetError
from dwindle.errors.torch_programs import (
    CertificationError,
    CheckpointError,
    DoubleDecayWarning,
    PatternError,
)

__all__ = [
    "AmbiguousNameError",
    "AuditTargetError",
    "CertificationError",
    "CheckpointError",
    "DataFilesError",
    "DoubleDecayWarning",
    "DwindleError",
    "MissingFactError",
    "MissingLibraryError",
    "OscillationError",
    "OutputExistsError",
    "PatternError",
    "RangeError",
    "RefusedError",
    "ReportWriteError",
    "StoreAccessError",
    "StoreDamagedError",
    "StoreError",
    "StoreFormatError",
    "StoreLockedError",
    "StoreUnlikeError",
    "StudyFileError",
    "StudyStoppedError",
    "UnexpectedError",
    "UnknownNameError",
    "UsageError",
    "WorkerError",
]
