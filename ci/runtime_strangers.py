#!/usr/bin/env python3
"""Has a function executed by a runtime that nobody here wrote: PyPI's openwhisk-docker-action.

usage: runtime_strangers.py FOLDER_OF_PROGRAMS

Starts the runtime and an edgecomputer that uses it as a server that is there already, on free ports
of the loopback interface, and calls the lambda with Python's grpcio.
"""

import importlib
import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import grpc
from grpc_tools import protoc

PATIENCE = 20.0
ROOT = pathlib.Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"

ACTION = """
import sys
from openwhisk_docker_action import Action

def main(body):
    value = body["value"]
    return {"sum": value["a"] + value["b"], "name": body["action_name"], "id": len(body["activation_id"])}

action = Action()
action.setHost("127.0.0.1")
action.setPort(int(sys.argv[1]))
action.main(main)
"""


def compiled():
    """The modules of lambda.proto."""
    out = tempfile.mkdtemp(prefix="protos-")
    files = sorted(str(f) for f in (ROOT / "proto" / "uiiit" / "rpc").glob("*.proto"))
    code = protoc.main(
        ["protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", f"--grpc_python_out={out}", *files]
    )
    assert code == 0, "protoc failed"
    sys.path.insert(0, out)
    return tuple(importlib.import_module(f"uiiit.rpc.{name}") for name in ("lambda_pb2", "lambda_pb2_grpc"))


def free_port():
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def main():
    programs = pathlib.Path(sys.argv[1])
    messages, services = compiled()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stranger-"))
    (folder / "action.py").write_text(ACTION)
    runtime_port, port = free_port(), free_port()
    (folder / "computer.toml").write_text(
        "[[runtime.lambda]]\n"
        "name = 'add'\n"
        "kind = 'endpoints'\n"
        f"endpoints = ['http://{LOOPBACK}:{runtime_port}']\n"
    )
    children = [
        subprocess.Popen([sys.executable, str(folder / "action.py"), str(runtime_port)]),
        subprocess.Popen(
            [
                str(programs / "edgecomputer"),
                "--computer-type=runtime",
                f"--conf={folder / 'computer.toml'}",
                f"--server-endpoint={LOOPBACK}:{port}",
                "--utilization-endpoint=",
                "--admin-endpoint=",
            ]
        ),
    ]
    try:
        stub = services.EdgeServerStub(grpc.insecure_channel(f"{LOOPBACK}:{port}"))
        deadline = time.monotonic() + PATIENCE
        while True:
            request = messages.LambdaRequest(name="add", input=json.dumps({"a": 40, "b": 2}))
            try:
                answer = stub.RunLambda(request, timeout=5, wait_for_ready=True)
            except grpc.RpcError as error:
                answer = error
            if getattr(answer, "retcode", None) == "OK":
                break
            assert time.monotonic() < deadline, f"never answered: {answer}"
            time.sleep(0.05)
        assert json.loads(answer.output) == {"sum": 42, "name": "add", "id": 32}, answer
        assert answer.service_us > 0, answer
        children[1].send_signal(signal.SIGTERM)
        assert children[1].wait(PATIENCE) == 0
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
            child.wait()
    print("openwhisk-docker-action executes what an edgecomputer asks it to")


main()
