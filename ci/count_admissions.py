#!/usr/bin/env python3
"""Counts the instructions with which a computer decides whether it takes a request.

usage: count_admissions.py

Builds the example `admissions` of edge-computer and runs it under callgrind, which counts within
its function `counted` only, by the number of requests that wait already. Counts depend on the
compiler and on the processor's instruction set, not on how busy the machine is. Needs valgrind.
"""

import pathlib
import re
import subprocess
import sys

QUEUED = [10, 100, 1000, 9000]
KINDS = ["bounds", "bounded", "exact"]
REQUESTS = 20

ROOT = pathlib.Path(__file__).resolve().parent.parent


def build() -> pathlib.Path:
    """The path of the example, built with optimisation."""
    command = ["cargo", "build", "--quiet", "--release", "-p", "edge-computer"]
    subprocess.run([*command, "--example", "admissions"], cwd=ROOT, check=True)
    return ROOT / "target/release/examples/admissions"


def instructions(program: pathlib.Path, queued: int, kind: str) -> float:
    """Per request."""
    command = [
        "valgrind",
        "--tool=callgrind",
        "--toggle-collect=admissions::counted",
        "--callgrind-out-file=/dev/null",
        program,
        str(queued),
        kind,
        str(REQUESTS),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or collected is None or int(collected.group(1)) == 0:
        sys.exit(f"count_admissions: {kind}, {queued}: nothing counted\n{run.stderr}")
    return int(collected.group(1)) / REQUESTS


def main() -> None:
    program = build()
    print("| decided by | " + " | ".join(f"{n} queued" for n in QUEUED) + " |")
    print("|---" * (len(QUEUED) + 1) + "|")
    for kind in KINDS:
        counts = (instructions(program, queued, kind) for queued in QUEUED)
        print(f"| {kind} | " + " | ".join(f"{count:.0f}" for count in counts) + " |", flush=True)


if __name__ == "__main__":
    main()
