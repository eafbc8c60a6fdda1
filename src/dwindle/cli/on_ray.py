"""Where trainings run, as options of a command line: --ray, --ray-address."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dwindle.cli.options import Option, read_number
from dwindle.cli.output import warn
from dwindle.errors import RangeError, UsageError

if TYPE_CHECKING:
    from dwindle.study.cluster import Cluster

_GROUP = "Trainings on Ray (pip install '.[ray]')"


def read_share_of_node(option: str, text: str) -> float:
    """Read a number of CPUs or GPUs, also a part of one."""
    number = read_number(option, text)
    if not 0 < number <= 1e4:  # noqa: PLR2004, far beyond any node
        raise RangeError(option, number, "above 0")
    return number


OPTIONS = (
    Option("--ray", "on a local cluster, started for it", group=_GROUP),
    Option("--ray-address", "on a running one: HOST:PORT", "HOST:PORT", group=_GROUP),
    Option("--cpus-per-training", "1", "N", read_share_of_node, group=_GROUP),
    Option("--gpus-per-training", "none", "N", read_share_of_node, group=_GROUP),
)


def cluster_from(arguments: Mapping[str, Any]) -> "Cluster | None":
    """Return the cluster that the options name, connected; None without any."""
    address: str | None = arguments["ray_address"]
    cpus, gpus = arguments["cpus_per_training"], arguments["gpus_per_training"]
    if arguments["ray"] and address:
        must = "Trainings must run on one cluster."
        remedy = "Leave out --ray to use the one that runs."
        raise UsageError(must, f"--ray and --ray-address {address}", remedy)
    if not arguments["ray"] and not address:
        if cpus or gpus:
            must = "CPUs and GPUs of a training must come with the cluster that counts."
            remedy = "Add --ray, or --ray-address HOST:PORT."
            raise UsageError(must, "neither --ray nor --ray-address", remedy)
        return None
    from dwindle.study.cluster import Cluster

    if address:
        warn("whoever reaches the ports of this cluster runs code as you.")
    return Cluster(address, cpus=cpus or 1.0, gpus=gpus or 0.0)
