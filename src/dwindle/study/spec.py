"""What a study is asked to be; its home is the store, which has to keep it."""

from dwindle.store.records import Optimizer, Scale
from dwindle.store.spec import AxisSpec, StudySpec

__all__ = ["AxisSpec", "Optimizer", "Scale", "StudySpec"]
