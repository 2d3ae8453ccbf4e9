"""Cores that a process may use, in containers as the kernel describes them."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from florence_annotate import cores


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V2 = "0::/\n"
V1 = "4:memory:/a\n2:cpu,cpuacct:/docker/ab12\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        # a container of version 2 sees its own group as the root
        (V2, {"cpu.max": "200000 100000\n"}, 2.0),
        (V2, {"cpu.max": "150000 100000\n"}, 1.5),
        (V2, {"cpu.max": "max 100000\n"}, math.inf),
        (V2, {}, math.inf),
        # a service without a container: the tightest of the groups around it
        (
            "0::/user.slice/job.service\n",
            {
                "user.slice/cpu.max": "400000 100000\n",
                "user.slice/job.service/cpu.max": "max 100000\n",
            },
            4.0,
        ),
        (
            "0::/user.slice/job.service\n",
            {
                "user.slice/cpu.max": "400000 100000\n",
                "user.slice/job.service/cpu.max": "50000 100000\n",
            },
            0.5,
        ),
        # version 1: the path is the host's, and the container's group lies at the root
        (
            V1,
            {"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            3,
        ),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        (
            V1,
            {
                "cpu/docker/ab12/cpu.cfs_quota_us": "100000",
                "cpu/docker/ab12/cpu.cfs_period_us": "50000",
            },
            2.0,
        ),
        # another namespace's path, and files that hold no limit
        ("0::/../../other\n", {"cpu.max": "100000 100000\n"}, 1.0),
        (V2, {"cpu.max": "\n"}, math.inf),
    ],
)
def test_a_quota_is_the_tightest_of_the_groups_around_a_process(
    tmp_path: Path, groups: str, limits: dict[str, str], expected: float
) -> None:
    files = {f"sys/fs/cgroup/{name}": text for name, text in limits.items()}
    root = write(tmp_path, {"proc/self/cgroup": groups, **files})
    assert cores.quota(root) == expected


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cores.quota(tmp_path) == math.inf


@pytest.mark.parametrize(("limit", "expected"), [("max", 64), ("50000", 1), ("150000", 2)])
def test_a_part_of_a_core_counts_as_one(tmp_path: Path, limit: str, expected: int) -> None:
    files = {"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": f"{limit} 100000"}
    own = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    assert cores.available(write(tmp_path, files)) == min(own, expected)


@pytest.mark.skipif(sys.platform != "linux", reason="cores are assigned on Linux alone")
def test_a_process_that_may_run_on_one_core_has_one() -> None:
    code = (
        "import os\nfrom florence_annotate import cores\n"
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "print(cores.available())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
