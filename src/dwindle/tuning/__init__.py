"""Tune: the best weight decay at several small scales, and the law to a large one."""
