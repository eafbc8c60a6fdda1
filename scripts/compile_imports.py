"""Import what commands and tests import, so that Python keeps it compiled."""

import importlib
import pkgutil

import dwindle

# Those that are only imported inside functions; dwindle's own modules bring the rest.
INSIDE_FUNCTIONS = (
    "hypothesis.strategies",
    "jinja2",
    "pydantic",
    "rich.live",
    "rich.progress",
    "rich.table",
    "scipy.interpolate",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.datasets",
    "sklearn.linear_model",
    "syrupy",
    "torch._dynamo",  # any optimizer of torch brings it
    "torch.distributed.fsdp",
    "vl_convert",
    "xdist.plugin",
    "yaml",
)
# Theirs is the environment of make test-frameworks.
OF_OTHER_LIBRARIES = "dwindle.integrations."

if __name__ == "__main__":
    own = pkgutil.walk_packages(dwindle.__path__, "dwindle.")
    for name in (*INSIDE_FUNCTIONS, *(module.name for module in own)):
        if not name.startswith(OF_OTHER_LIBRARIES):
            importlib.import_module(name)
