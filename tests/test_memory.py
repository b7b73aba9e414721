import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from mmml.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.zeros(12 << 20)  # 48 MiB, beyond every threshold that glibc adapts by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults()
keep_freed_memory()
for _ in range(5):
    faults()  # the heap grows to what is needed
print(given_back, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's allocator")
def test_large_tensors_take_the_place_of_freed_ones():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    given_back, kept = map(int, done.stdout.split())
    assert given_back > 50 and kept < given_back / 10
