"""How many cores this process may use: those that it may run on, and those that it has time for.

A container sees all cores of its machine and may be allowed the time of two. That limit is one of
control groups (https://docs.kernel.org/admin-guide/cgroup-v2.html), in either of their versions.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
"""Of the file system."""


def available(root: Path = _ROOT) -> int:
    """Cores, at least one; a part of a core counts as one, since its time would go unused."""
    try:
        own = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        own = os.cpu_count() or 1
    return max(1, math.ceil(min(own, quota(root))))


def quota(root: Path = _ROOT) -> float:
    """The time that control groups allow, in cores; infinite where they allow any."""
    return min((_limit(folder) for folder in _groups(root)), default=math.inf)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the groups of this process, and of those around them: each may limit it.

    Inside a container the path of its group may be the host's, and not be there; what it has for
    the root is then its own group.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not on Linux
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            tops = [mounts, mounts / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [mounts / controllers, mounts / "cpu"]
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for top in tops:
            yield from (top.joinpath(*parts[:depth]) for depth in range(len(parts) + 1))


def _limit(group: Path) -> float:
    """The time that one group allows, in cores: microseconds of a period of microseconds."""
    try:
        if (group / "cpu.max").is_file():  # version 2: "200000 100000", or "max 100000"
            allowed, period = (group / "cpu.max").read_text().split()
        else:
            allowed = (group / "cpu.cfs_quota_us").read_text()  # -1: no limit
            period = (group / "cpu.cfs_period_us").read_text()
        return int(allowed) / int(period) if int(allowed) > 0 else math.inf
    except (OSError, ValueError):  # no such group, "max", or something that is no limit
        return math.inf
