"""What is freed goes back to the system: seen by the kernel's own account, in a process of its own."""

import platform
import subprocess
import sys

import pytest

LARGE_THEN_MANY = """
import re, sys
from exporter.heap import give_back
if sys.argv[1:]:
    give_back()

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

large = b"x" * 30_000_000  # glibc learns from its end to keep as much
del large
before = resident()
many = [b"y" * 100_000 for _ in range(500)]
del many
print(resident() - before)
"""


def kept(*words):
    done = subprocess.run([sys.executable, "-c", LARGE_THEN_MANY, *words], capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_fifty_megabytes_that_were_freed_are_given_back():
    assert kept() > 40
    assert kept("give back") < 5
