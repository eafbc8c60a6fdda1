"""dwindle.find and dwindle.tune on Ray: a local cluster for them, and one that runs."""

import math

import dwindle
from dwindle.study.cluster import Cluster

SEARCH = {"knob": "torch.optim.SGD", "low": 1e-3, "high": 1, "trainings": 9}


def test_a_closure_is_searched_on_a_local_cluster_and_in_one_that_is_given():
    """The same losses as without Ray; the cluster that is given is left open."""
    shift = 3.0

    def train(weight_decay, seed, width=1):
        x = math.log(weight_decay or 1e-9) + shift
        return 1 + x**2 / 100 + seed / 10 + width

    here = dwindle.find(train, **SEARCH, jobs=2)
    there = dwindle.find(train, **SEARCH, ray=True, jobs=2)

    def losses(found):
        return sorted((at.seed, at.weight_decay, at.loss) for at in found.curve)

    assert losses(there) == losses(here)
    scales = {"proxies": {"width": [1, 2]}, "target": {"width": 4}}
    with Cluster(cpus=0.5) as cluster:
        tuned = dwindle.tune(train, **SEARCH, **scales, ray=cluster)
        assert [cell.trainings for cell in tuned.cells] == [9, 9]
        assert cluster.at_once >= 2
