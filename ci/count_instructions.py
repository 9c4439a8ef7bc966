#!/usr/bin/env python3
"""Counts instructions per request, and compares them with those that are checked in.

usage: count_instructions.py [show|check|update] [GROUP[/PART...]...]

  show    prints counts as tables (what is done without a word, too)
  check   counts what is in ci/instructions.json; fails if anything takes more
  update  counts the same and writes it there: to be run, and committed, after a change that is
          meant to change counts, after one of the compiler, and after a merge of such changes

Groups:
  pick       a request in the balancer, by policy and number of candidates: a pick, its sending, its
             answer and, under prequal, its probes (example `picks` of edge-balance)
  admission  how a computer decides whether it takes a request, by what has to be computed and
             how many wait already (example `admissions` of edge-computer)
  forward    a request in the whole of edgerouter, one core, default options, over loopback sockets,
             by bytes of input and output and requests that come at once (example `passing` of
             edge-broker is client and computer)
  encrypted  the same of 100 bytes over TLS, native QUIC and HTTP/3 on both sides; over TLS only
             shown, and with 64 at once, since how many packets the same requests take depends on the
             machine then; handshakes have to be complete within 2 s
  change     a change of edgerouter's table, one after the other, over a loopback socket, of routes that
             are there or of lambdas that come and go (example `changing` of edge-broker is the
             client): only shown

Programs are run under callgrind. What is of this workspace is optimised as in releases, but not across
crates, and libraries are as tests have them, so that most of it is built already: counts are to be
compared with each other. They depend on the compiler and little on the processor, and not on how busy
the machine is. Needs valgrind.
"""

import concurrent.futures
import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD = ROOT / "ci/instructions.json"
# By how much a count may grow, in per cent. Sockets and timers make those of `forward` vary, and
# datagrams, of which a few more are made on a busy machine, those of `encrypted`: by up to 3.4.
TOLERANCE = {"pick": 3.0, "admission": 3.0, "forward": 5.0, "encrypted": 8.0}


class Failure(Exception):
    """Something could not be counted."""


def policies() -> list[str]:
    """The names as the source lists them."""
    source = (ROOT / "balance/src/policy/config.rs").read_text()
    names = re.search(r"pub const NAMES: [^=]*= \[(.*?)\];", source, re.S)
    if names is None:
        raise Failure("balance/src/policy/config.rs lists no names")
    return re.findall(r'"([^"]+)"', names.group(1))


# All that is run, built at once with the features that the tests have: libraries are there already.
EXAMPLES = ["passing", "changing", "picks", "admissions"]
PROGRAMS = ["--bin=edgerouter", *(f"--example={example}" for example in EXAMPLES)]


@functools.cache
def build() -> pathlib.Path:
    """The folder of the programs: what is of this workspace optimised, libraries as tests have them."""
    command = ["cargo", "build", "--quiet", "--locked", "--workspace", *PROGRAMS]
    optimised = {
        "opt-level": 3,
        "codegen-units": 4,
        "debug-assertions": "false",
        "overflow-checks": "false",
    }
    for ours in ("proto", "balance", "transport", "daemon", "broker", "computer"):
        # As a whole, as in releases: in parts, a count depends on how it happens to be divided.
        whole = {"codegen-units": 1} if ours == "balance" else {}
        for key, value in (optimised | whole).items():
            command += ["--config", f"profile.dev.package.edge-{ours}.{key}={value}"]
    environment = {**os.environ, "CARGO_INCREMENTAL": "0"}
    subprocess.run(command, cwd=ROOT, check=True, env=environment)
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    return ROOT / target / "debug"


def collected(log: str) -> int:
    """The total in what callgrind says at its end."""
    total = re.search(r"Collected : (\d+)", log)
    if total is None or int(total.group(1)) == 0:
        raise Failure(f"nothing counted\n{log}")
    return int(total.group(1))


class Example:
    """An example whose function `counted` does the work for so many requests."""

    def __init__(self, example: str, requests: int):
        self.example, self.requests = example, requests

    def build(self) -> None:
        self.program = build() / "examples" / self.example

    def prepare(self) -> None:
        self.build()

    def count(self, arguments: list[str]) -> float:
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--toggle-collect={self.example}::counted",
            "--callgrind-out-file=/dev/null",
            self.program,
            *arguments,
            str(self.requests),
        ]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise Failure(run.stderr)
        return collected(run.stderr) / self.requests


class Pick(Example):
    at_once = True
    columns = [str(n) for n in (2, 8, 64, 1000)]
    head = "policy"

    def __init__(self):
        super().__init__("picks", 2000)

    def rows(self) -> list[str]:
        return policies()

    def checked(self) -> list[tuple[str, str]]:
        default = self.rows()[0]
        return [(default, n) for n in self.columns] + [(p, "64") for p in self.rows()[1:]]

    def measure(self, row: str, column: str) -> float:
        return self.count([row, column])


class Admission(Example):
    at_once = True
    columns = [str(n) for n in (10, 100, 1000, 9000)]
    head = "decided by, with so many queued"

    def __init__(self):
        super().__init__("admissions", 20)

    def rows(self) -> list[str]:
        return ["bounds", "bounded", "exact"]

    def checked(self) -> list[tuple[str, str]]:
        return [(kind, "100") for kind in self.rows()] + [("bounded", "9000")]

    def measure(self, row: str, column: str) -> float:
        return self.count([column, row])


class Forward:
    at_once = False
    columns = ["1", "16"]
    head = "bytes, in bursts of"
    example = "passing"
    # Two runs, whose difference is what the requests between take: the start does not count.
    requests = (320, 1920)
    # What its timers take while it runs does not count either, since that depends on the machine.
    pause = 3.0

    def build(self) -> None:
        folder = build()
        self.router, self.client = folder / "edgerouter", folder / "examples" / self.example

    def prepare(self) -> None:
        self.build()
        first = self.rows()[0]
        (short, soon), (long, late) = (self.run(first, "1", 16, pause) for pause in (0, self.pause))
        self.per_second = (long - short) / (late - soon)

    def rows(self) -> list[str]:
        return ["100", "10000"]

    def checked(self) -> list[tuple[str, str]]:
        return [(bytes, burst) for bytes in self.rows() for burst in self.columns]

    def measure(self, row: str, column: str) -> float:
        (few, soon), (many, late) = (self.run(row, column, number) for number in self.requests)
        by_timers = self.per_second * (late - soon)
        return (many - few - by_timers) / (self.requests[1] - self.requests[0])

    def run(self, size: str, burst: str, requests: int, pause: float = 0) -> tuple[int, float]:
        """Instructions of a router for so many requests, and seconds from its first to its last."""
        return self.passed("plain", size, burst, requests, pause)

    def passed(self, how: str, size: str, burst: str, requests: int, pause: float):
        bursts = str(requests // int(burst))
        return self.served(how, lambda *endpoints: [*endpoints, size, burst, bursts], pause)

    def served(self, how: str, client: Callable[[str, str], list[str]], pause: float):
        """What a router takes for a client with these arguments, in instructions and seconds."""
        with tempfile.TemporaryDirectory() as folder:
            environment, options, scheme = self.encryption(how, folder)
            log, said = pathlib.Path(folder, "callgrind"), pathlib.Path(folder, "router")
            command = [
                "valgrind",
                "--tool=callgrind",
                f"--callgrind-out-file={folder}/out",
                f"--log-file={log}",
                self.router,
                "--server-endpoint=127.0.0.1:0",
                "--configuration-endpoint=127.0.0.1:0",
                "--admin-endpoint=0",
                "--num-threads=1",
                *options,
            ]
            with said.open("w") as output:
                router = subprocess.Popen(command, stderr=output, cwd=folder, env=environment)
            try:
                lambdas, tables = self.endpoints(router, said)
                endpoints = [scheme + lambdas.removeprefix("quic://"), tables]
                started = time.monotonic()
                arguments = client(*endpoints)
                subprocess.run([self.client, *arguments], check=True, timeout=120, env=environment)
                time.sleep(pause)
                served = time.monotonic() - started
                router.send_signal(signal.SIGTERM)
                router.wait(timeout=60)
            finally:
                router.kill()
                router.wait()
            return collected(log.read_text()), served

    def encryption(self, how: str, folder: str) -> tuple[dict[str, str], list[str], str]:
        """Environment of all, options of the router, and scheme of its end-point."""
        if how == "plain":
            return dict(os.environ), [], ""
        subprocess.run([self.client, "certificates", folder], check=True)
        environment = {**os.environ, "CERT_DIR": folder}
        if how == "tls":
            return environment, ["--secure"], ""
        return environment, ["--secure", "--server-conf=type=quic"], f"{how}://"

    def endpoints(self, router: subprocess.Popen, said: pathlib.Path) -> list[str]:
        """Where it takes requests and changes of its tables, once it says so."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            text = re.sub(r"\x1b\[[0-9;]*m", "", said.read_text())
            found = re.search(r"edgerouter serves.*lambda=(\S+).*tables=(\S+)", text)
            if found:
                return list(found.groups())
            if router.poll() is not None:
                break
            time.sleep(0.05)
        raise Failure(f"the router does not serve\n{said.read_text()}")


class Encrypted(Forward):
    columns = ["1", "16", "64"]
    head = "over, in bursts of"

    def rows(self) -> list[str]:
        return ["tls", "quic", "h3"]

    def checked(self) -> list[tuple[str, str]]:
        return [(how, burst) for how in ("quic", "h3") for burst in ("1", "16")]

    def run(self, how: str, burst: str, requests: int, pause: float = 0) -> tuple[int, float]:
        return self.passed(how, "100", burst, requests, pause)


class Change(Forward):
    columns = ["1"]
    head = "route, changes at once"
    example = "changing"

    def rows(self) -> list[str]:
        return ["known", "new"]

    def checked(self) -> list[tuple[str, str]]:
        return []

    def run(self, kind: str, _: str, changes: int, pause: float = 0) -> tuple[int, float]:
        return self.served("plain", lambda _, tables: [tables, kind, str(changes)], pause)


GROUPS = {
    "pick": Pick,
    "admission": Admission,
    "forward": Forward,
    "encrypted": Encrypted,
    "change": Change,
}


def counts(name: str, keys: list[tuple[str, str]]) -> dict[str, int]:
    """What has been counted, by group, row and column."""
    group = GROUPS[name]()
    group.prepare()
    workers = os.cpu_count() if group.at_once else 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        values = pool.map(lambda key: group.measure(*key), keys)
        return {f"{name}/{row}/{column}": round(value) for (row, column), value in zip(keys, values)}


def wanted(arguments: list[str], keys: list[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    """Those that the arguments name, which are all if there are none."""
    if not arguments:
        return keys
    full = {f"{name}/{row}/{column}": (row, column) for row, column in keys}
    return [
        key
        for path, key in full.items()
        if any(path == argument or path.startswith(argument + "/") for argument in arguments)
    ]


def compiler() -> str:
    return subprocess.run(
        ["rustc", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def show(arguments: list[str]) -> None:
    for name, kind in GROUPS.items():
        group = kind()
        keys = [(row, column) for row in group.rows() for column in group.columns]
        keys = wanted(arguments, keys, name)
        if not keys:
            continue
        found = counts(name, keys)
        print(f"\n{name}: instructions for each\n")
        print(f"| {group.head} | " + " | ".join(group.columns) + " |")
        print("|---" * (len(group.columns) + 1) + "|")
        for row in dict.fromkeys(row for row, _ in keys):
            cells = (str(found.get(f"{name}/{row}/{column}", "")) for column in group.columns)
            print(f"| {row} | " + " | ".join(cells) + " |", flush=True)


def count_checked(arguments: list[str]) -> dict[str, int]:
    found = {}
    for name, kind in GROUPS.items():
        keys = wanted(arguments, kind().checked(), name)
        if keys:
            found |= counts(name, keys)
    return found


def check(arguments: list[str]) -> None:
    record = json.loads(RECORD.read_text())
    found = count_checked(arguments)
    known = record["counts"]
    if record["compiler"] != compiler():
        print(f"the counts are those of {record['compiler']}, this is {compiler()}")
    grown = shrunk = 0
    for path, count in found.items():
        if path not in known:
            raise Failure(f"{path} is not in {RECORD.name}: update it")
        change = 100 * (count / known[path] - 1)
        tolerance = TOLERANCE[path.split("/")[0]]
        verdict = "MORE" if change > tolerance else "fewer" if change < -tolerance else ""
        grown += verdict == "MORE"
        shrunk += verdict == "fewer"
        print(f"{path:<32} {known[path]:>9} {count:>9} {change:>+7.1f} % {verdict}")
    advice = "ci/count_instructions.py update"
    if shrunk:
        print(f"{shrunk} take fewer instructions than recorded: keep that with {advice}")
    if grown:
        raise Failure(f"{grown} take more instructions; if that is the price of something: {advice}")


def update(arguments: list[str]) -> None:
    known = {}
    if arguments and RECORD.exists():
        known = json.loads(RECORD.read_text())["counts"]
    known |= count_checked(arguments)
    record = {"compiler": compiler(), "counts": known}
    RECORD.write_text(json.dumps(record, indent=2) + "\n")


COMMANDS = {"show": show, "check": check, "update": update}


def main() -> None:
    arguments = sys.argv[1:]
    command = COMMANDS[arguments.pop(0)] if arguments and arguments[0] in COMMANDS else show
    for argument in arguments:
        if argument.split("/")[0] not in GROUPS:
            sys.exit(f"count_instructions: no group '{argument}'\n{__doc__}")
    try:
        command(arguments)
    except (Failure, subprocess.SubprocessError) as failure:
        sys.exit(f"count_instructions: {failure}")


if __name__ == "__main__":
    main()
