#!/usr/bin/env python3
"""Counts the instructions of one request in the balancer, by policy and number of candidates.

usage: count_instructions.py [POLICY...]

Builds the example `picks` of edge-balance and runs it under callgrind, which counts within its
function `counted` only: a pick, its sending, its answer and, under prequal, its probes. Counts
depend on the compiler and on the processor's instruction set, not on how busy the machine is.
Needs valgrind.
"""

import pathlib
import re
import subprocess
import sys

CANDIDATES = [2, 8, 64, 1000]
REQUESTS = 2000

ROOT = pathlib.Path(__file__).resolve().parent.parent


def policies() -> list[str]:
    """The names as the source lists them."""
    source = (ROOT / "balance/src/policy/config.rs").read_text()
    names = re.search(r"pub const NAMES: [^=]*= \[(.*?)\];", source, re.S)
    if names is None:
        sys.exit("count_instructions: balance/src/policy/config.rs lists no names")
    return re.findall(r'"([^"]+)"', names.group(1))


def build() -> pathlib.Path:
    """The path of the example, built with optimisation."""
    command = ["cargo", "build", "--quiet", "--release", "-p", "edge-balance", "--example", "picks"]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / "target/release/examples/picks"


def instructions(program: pathlib.Path, policy: str, candidates: int) -> float:
    """Per request."""
    command = [
        "valgrind",
        "--tool=callgrind",
        "--toggle-collect=picks::counted",
        "--callgrind-out-file=/dev/null",
        program,
        policy,
        str(candidates),
        str(REQUESTS),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or collected is None or int(collected.group(1)) == 0:
        sys.exit(f"count_instructions: {policy}, {candidates}: nothing counted\n{run.stderr}")
    return int(collected.group(1)) / REQUESTS


def main() -> None:
    known = policies()
    wanted = sys.argv[1:] or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"count_instructions: no such policy: {', '.join(unknown)}\n{__doc__}")
    program = build()
    print("| policy | " + " | ".join(str(n) for n in CANDIDATES) + " |")
    print("|---" * (len(CANDIDATES) + 1) + "|")
    for policy in wanted:
        counts = (instructions(program, policy, n) for n in CANDIDATES)
        print(f"| {policy} | " + " | ".join(f"{count:.0f}" for count in counts) + " |", flush=True)


if __name__ == "__main__":
    main()
