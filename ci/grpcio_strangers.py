#!/usr/bin/env python3
"""Talks to every service with Python's grpcio, and lets the router talk to Python.

usage: grpcio_strangers.py FOLDER_OF_PROGRAMS

Compiles the .proto files with grpcio-tools, starts edgecontroller, edgecomputer
and edgerouter on free ports of the loopback interface, and checks what a client,
a computer, a router and an operator of another make get to see.
"""

import importlib
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures

import grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc

PATIENCE = 20.0
ROOT = pathlib.Path(__file__).resolve().parent.parent


def compile_protos():
    """Generates the Python modules and makes them importable."""
    out = tempfile.mkdtemp(prefix="protos-")
    files = sorted(str(f) for f in (ROOT / "proto" / "uiiit" / "rpc").glob("*.proto"))
    code = protoc.main(
        ["protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", f"--grpc_python_out={out}", *files]
    )
    assert code == 0, "protoc failed"
    sys.path.insert(0, out)
    names = ["common", "computer", "controller", "lambda", "router", "state"]
    return {
        name: (
            importlib.import_module(f"uiiit.rpc.{name}_pb2"),
            importlib.import_module(f"uiiit.rpc.{name}_pb2_grpc"),
        )
        for name in names
    }


PROTOS = compile_protos()
LAMBDA, LAMBDA_GRPC = PROTOS["lambda"]
ROUTER, ROUTER_GRPC = PROTOS["router"]
CONTROLLER, CONTROLLER_GRPC = PROTOS["controller"]
COMPUTER_GRPC = PROTOS["computer"][1]
COMMON = PROTOS["common"][0]
LOOPBACK = "127.0.0.1"


def free_port():
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def endpoint():
    return f"{LOOPBACK}:{free_port()}"


def eventually(what, condition):
    deadline = time.monotonic() + PATIENCE
    last = None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except grpc.RpcError as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"never happened: {what} ({last})")


# A name twice, bytes that are no text, a value of 8 kB.
METADATA = (
    ("x-stranger", "one"),
    ("x-stranger", "two"),
    ("x-bytes-bin", b"\x00\xff\x80\n"),
    ("x-long", "q" * 8000),
)


class PythonComputer(LAMBDA_GRPC.EdgeServerServicer):
    """A computer of another make: answers as the reference does, no additions."""

    def __init__(self):
        self.received = []
        self.metadata = []
        self.cancelled = threading.Event()

    def RunLambda(self, request, context):
        self.received.append((request, dict(context.invocation_metadata())))
        self.metadata = list(context.invocation_metadata())
        context.set_trailing_metadata(METADATA)
        if request.name == "endless":
            over = threading.Event()
            context.add_callback(over.set)
            if over.wait(PATIENCE):
                self.cancelled.set()
        if request.name == "slow":
            time.sleep(5)
        if request.name == "broken":
            return LAMBDA.LambdaResponse(retcode="division by zero")
        return LAMBDA.LambdaResponse(
            retcode="OK", output=request.input.upper(), hops=request.hops + 1, ptime=1
        )


class PythonRouter(ROUTER_GRPC.EdgeRouterServicer):
    """A router of another make: keeps what the controller tells it."""

    def __init__(self):
        self.table = {}
        self.lock = threading.Lock()

    def Configure(self, request, context):
        with self.lock:
            if request.action == ROUTER.EdgeRouterConf.CHANGE:
                self.table[(getattr(request, "lambda"), request.destination)] = request.weight
            elif request.action == ROUTER.EdgeRouterConf.REMOVE:
                self.table.pop((getattr(request, "lambda"), request.destination), None)
            else:
                self.table.clear()
        return COMMON.Return(msg="OK")

    def GetTable(self, request, context):
        table = ROUTER.ForwardingTable()
        with self.lock:
            for (name, destination), weight in sorted(self.table.items()):
                entry = table.entries.add(destination=destination, weight=weight, final=True)
                setattr(entry, "lambda", name)
        return table

    def GetNumTables(self, request, context):
        return ROUTER.NumTables(value=2)


def serve(add, servicer, at):
    # Above 8 KiB, its default, some requests are refused by chance, and all above 16 KiB.
    options = [("grpc.max_metadata_size", 64 * 1024)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=options)
    add(servicer, server)
    assert server.add_insecure_port(at), at
    server.start()
    return server


def known(world, name, servicer):
    """Starts a computer of another make, to which the router's table leads requests of that name."""
    at = endpoint()
    server = serve(LAMBDA_GRPC.add_EdgeServerServicer_to_server, servicer, at)
    tables = world.stub(ROUTER_GRPC.EdgeRouterStub, world.tables)
    change = conf(ROUTER.EdgeRouterConf.CHANGE, name, at, 1.0, True)
    assert tables.Configure(change, timeout=PATIENCE).msg == "OK"
    return server


class World:
    """The processes under test."""

    def __init__(self, programs):
        self.programs = pathlib.Path(programs)
        self.processes = {}
        self.controller, self.router, self.tables = endpoint(), endpoint(), endpoint()
        self.computer, self.utilization = endpoint(), endpoint()

    def start(self, name, *options):
        command = [str(self.programs / name), *options, "--admin-endpoint", ""]
        self.processes[name] = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def start_all(self):
        # Computer and router first: any order has to work.
        self.start(
            "edgecomputer", "--server-endpoint", self.computer,
            "--utilization", self.utilization, "--controller", self.controller,
            "--conf", "type=raspberry,num-cpu-containers=1,num-cpu-workers=4,num-gpu-containers=0",
        )
        self.start(
            "edgerouter", "--server-endpoint", self.router, "--configuration", self.tables,
            "--controller", self.controller,
        )
        self.start("edgecontroller", "--server", self.controller)

    def stop_all(self):
        for name, process in self.processes.items():
            process.send_signal(signal.SIGTERM)
        codes = {}
        for name, process in self.processes.items():
            try:
                codes[name] = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = "killed"
            self.log(name, process.stderr.read())
        return codes

    @staticmethod
    def log(name, text):
        for line in text.splitlines():
            if "panicked" in line or "ERROR" in line:
                print(f"{name}: {line}")

    def stub(self, service, at):
        return service(grpc.insecure_channel(at))


def request(name="clambda0", **fields):
    return LAMBDA.LambdaRequest(name=name, input="hello", uuid="00000000-0000-4000-8000-000000000000", **fields)


def conf(action, name="", destination="", weight=0.0, final=False):
    message = ROUTER.EdgeRouterConf(
        action=action, destination=destination, weight=weight, final=final
    )
    setattr(message, "lambda", name)
    return message


def rows(stub, table=0):
    entries = stub.GetTable(ROUTER.TableId(value=table), timeout=PATIENCE).entries
    return {(getattr(e, "lambda"), e.destination) for e in entries}


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
def the_router_is_filled_whatever_the_order_of_starting(world):
    tables = world.stub(ROUTER_GRPC.EdgeRouterStub, world.tables)
    eventually("clambda0 in the table", lambda: ("clambda0", world.computer) in rows(tables))
    assert ("clambda0", world.computer) in rows(tables, 1)
    assert tables.GetNumTables(COMMON.Void(), timeout=PATIENCE).value == 2
    assert rows(tables, 99) == set()


@check
def a_lambda_runs_through_the_router(world):
    answer = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router).RunLambda(request(), timeout=PATIENCE)
    assert (answer.retcode, answer.output, answer.hops) == ("OK", "hello", 2), answer
    assert answer.responder == world.computer, answer


@check
def a_lambda_runs_on_the_computer(world):
    answer = world.stub(LAMBDA_GRPC.EdgeServerStub, world.computer).RunLambda(request(), timeout=PATIENCE)
    assert (answer.retcode, answer.hops, answer.responder) == ("OK", 1, ""), answer


@check
def a_dry_run_gives_an_estimate_and_no_output(world):
    router = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router)
    big = LAMBDA.LambdaRequest(name="clambda0", input="A" * 10_000, dry=True)
    answer = router.RunLambda(big, timeout=PATIENCE)
    assert (answer.retcode, answer.output, answer.ptime) == ("OK", "", 100), answer


@check
def states_and_binary_data_survive(world):
    sent = request(datain=b"\x00\xff")
    sent.states["here"].content = b"\x01" * 1000
    answer = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router).RunLambda(sent, timeout=PATIENCE)
    assert answer.states["here"].content == b"\x01" * 1000, answer


@check
def errors_are_retcodes_and_the_status_is_ok(world):
    router = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router)
    answer = router.RunLambda(request("nobody"), timeout=PATIENCE)
    assert answer.retcode == "No destinations found for the entry", answer
    assert router.RunLambda(request(hops=255), timeout=PATIENCE).retcode == "loop detected"
    computer = world.stub(LAMBDA_GRPC.EdgeServerStub, world.computer)
    assert "nobody" in computer.RunLambda(request("nobody"), timeout=PATIENCE).retcode


@check
def a_request_with_a_callback_harms_nobody(world):
    router = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router)
    answer = router.RunLambda(request(callback="127.0.0.1:1"), timeout=PATIENCE)
    assert answer.retcode != "OK", answer
    assert router.RunLambda(request(), timeout=PATIENCE).retcode == "OK"


@check
def malformed_bytes_get_a_retcode(world):
    for at in (world.router, world.computer):
        raw = grpc.insecure_channel(at).unary_unary("/uiiit.rpc.EdgeServer/RunLambda")
        answer = LAMBDA.LambdaResponse.FromString(raw(b"\x0a\xff", timeout=PATIENCE))
        assert "malformed" in answer.retcode, answer


@check
def compressed_messages_are_refused_with_a_status(world):
    channel = grpc.insecure_channel(world.router, compression=grpc.Compression.Gzip)
    big = LAMBDA.LambdaRequest(name="clambda0", input="A" * 10_000)
    try:
        LAMBDA_GRPC.EdgeServerStub(channel).RunLambda(big, timeout=PATIENCE)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    else:
        raise AssertionError("compressed message accepted")


@check
def an_unknown_method_is_unimplemented(world):
    call = grpc.insecure_channel(world.router).unary_unary("/uiiit.rpc.EdgeServer/Nothing")
    try:
        call(b"", timeout=PATIENCE)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    else:
        raise AssertionError("unknown method served")


@check
def many_requests_share_a_channel(world):
    router = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router)
    calls = [router.RunLambda.future(request(), timeout=PATIENCE) for _ in range(200)]
    assert {call.result().retcode for call in calls} == {"OK"}


@check
def a_large_body_passes(world):
    router = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router)
    sent = LAMBDA.LambdaRequest(name="clambda0", input="x", datain=b"z" * 3_000_000)
    assert router.RunLambda(sent, timeout=PATIENCE).retcode == "OK"


@check
def the_utilisation_streams_before_the_first_task(world):
    stub = world.stub(COMPUTER_GRPC.EdgeComputerStub, world.utilization)
    stream = stub.StreamUtil(COMMON.Void(), timeout=PATIENCE)
    for _ in range(2):
        sample = next(stream)
        assert set(sample.values) == {"arm", "bm2837"}, sample
        assert all(0.0 <= value <= 1.0 for value in sample.values.values()), sample
    stream.cancel()


@check
def tables_can_be_changed_by_hand(world):
    tables = world.stub(ROUTER_GRPC.EdgeRouterStub, world.tables)
    change = conf(ROUTER.EdgeRouterConf.CHANGE, "by-hand", "127.0.0.1:9", 2.0)
    assert tables.Configure(change, timeout=PATIENCE).msg == "OK"
    assert ("by-hand", "127.0.0.1:9") in rows(tables)
    assert ("by-hand", "127.0.0.1:9") not in rows(tables, 1)
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        change = conf(ROUTER.EdgeRouterConf.CHANGE, "by-hand", "127.0.0.1:9", bad)
        assert tables.Configure(change, timeout=PATIENCE).msg.startswith("Error: "), bad
    remove = conf(ROUTER.EdgeRouterConf.REMOVE, "by-hand", "127.0.0.1:9")
    assert tables.Configure(remove, timeout=PATIENCE).msg == "OK"
    assert ("by-hand", "127.0.0.1:9") not in rows(tables)


@check
def a_python_computer_serves_requests_of_the_router(world):
    at, computer = endpoint(), PythonComputer()
    server = serve(LAMBDA_GRPC.add_EdgeServerServicer_to_server, computer, at)
    controller = world.stub(CONTROLLER_GRPC.EdgeControllerStub, world.controller)
    info = CONTROLLER.ComputerInfo(edgeServerEndpoint=at)
    for name in ("shout", "broken"):
        container = info.containers.add(name="c", processor="p", numWorkers=1)
        setattr(container, "lambda", name)
    controller.AnnounceComputer(info, timeout=PATIENCE)
    tables = world.stub(ROUTER_GRPC.EdgeRouterStub, world.tables)
    eventually("announced", lambda: {("shout", at), ("broken", at)} <= rows(tables))

    router = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router)
    metadata = (("x-trace", "42"),)
    answer = router.RunLambda(request("shout"), timeout=PATIENCE, metadata=metadata)
    assert (answer.retcode, answer.output, answer.responder) == ("OK", "HELLO", at), answer
    received, seen = computer.received[0]
    assert (received.hops, received.forward) == (1, True), received
    assert seen.get("x-trace") == "42", seen

    for _ in range(3):
        answer = router.RunLambda(request("broken"), timeout=PATIENCE)
        assert answer.retcode == "division by zero", answer
    assert ("broken", at) in rows(tables), "an error of the application evicts nobody"

    controller.RemoveComputer(CONTROLLER.ComputerInfo(edgeServerEndpoint=at), timeout=PATIENCE)
    eventually("removed", lambda: ("shout", at) not in rows(tables))
    server.stop(None)


@check
def a_slow_computer_of_another_make_is_not_pinged_away(world):
    # gRPC's C core closes connections on which too many PINGs come without data.
    server = known(world, "slow", PythonComputer())
    answer = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router).RunLambda(
        request("slow"), timeout=PATIENCE
    )
    assert (answer.retcode, answer.output) == ("OK", "HELLO"), answer
    server.stop(None)


@check
def metadata_of_all_kinds_travel_both_ways(world):
    computer = PythonComputer()
    server = known(world, "labelled", computer)
    channel = grpc.insecure_channel(world.router, options=[("grpc.max_metadata_size", 64 * 1024)])
    answer, call = LAMBDA_GRPC.EdgeServerStub(channel).RunLambda.with_call(
        request("labelled"), timeout=PATIENCE, metadata=METADATA
    )
    assert answer.retcode == "OK", answer
    names = {name for name, _ in METADATA}
    for seen in (computer.metadata, call.trailing_metadata()):
        assert [tuple(field) for field in seen if field[0] in names] == list(METADATA), seen
    server.stop(None)


@check
def a_request_that_its_client_cancels_is_cancelled_at_the_computer(world):
    computer = PythonComputer()
    server = known(world, "endless", computer)
    router = world.stub(LAMBDA_GRPC.EdgeServerStub, world.router)
    call = router.RunLambda.future(request("endless"), timeout=PATIENCE)
    eventually("it is executed", lambda: computer.received)
    call.cancel()
    eventually("it is cancelled", computer.cancelled.is_set)
    server.stop(None)


@check
def pythons_reflection_describes_every_port(world):
    for at, service in (
        (world.router, "uiiit.rpc.EdgeServer"),
        (world.tables, "uiiit.rpc.EdgeRouter"),
        (world.controller, "uiiit.rpc.EdgeController"),
        (world.computer, "uiiit.rpc.EdgeServer"),
        (world.utilization, "uiiit.rpc.EdgeComputer"),
    ):
        with grpc.insecure_channel(at) as channel:
            described = ProtoReflectionDescriptorDatabase(channel)
            assert service in described.get_services(), (at, service)
            assert described.FindFileContainingSymbol(service).package == "uiiit.rpc", service


@check
def a_python_router_is_filled_by_the_controller(world):
    at, router = endpoint(), PythonRouter()
    server = serve(ROUTER_GRPC.add_EdgeRouterServicer_to_server, router, at)
    controller = world.stub(CONTROLLER_GRPC.EdgeControllerStub, world.controller)
    info = CONTROLLER.RouterInfo(edgeServerEndpoint=endpoint(), forwardingTableEndpoint=at)
    controller.AnnounceRouter(info, timeout=PATIENCE)
    eventually("filled", lambda: ("clambda0", world.computer) in router.table)
    assert router.table[("clambda0", world.computer)] == 1.0
    server.stop(None)


@check
def a_malformed_announcement_is_an_error(world):
    controller = world.stub(CONTROLLER_GRPC.EdgeControllerStub, world.controller)
    try:
        controller.AnnounceComputer(
            CONTROLLER.ComputerInfo(edgeServerEndpoint="nonsense"), timeout=PATIENCE
        )
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        assert "nonsense" in error.details(), error
    else:
        raise AssertionError("malformed announcement accepted")


@check
def an_empty_table_operation_flushes_and_the_controller_fills_again(world):
    tables = world.stub(ROUTER_GRPC.EdgeRouterStub, world.tables)
    assert tables.Configure(ROUTER.EdgeRouterConf(), timeout=PATIENCE).msg == "OK"
    eventually("filled again", lambda: ("clambda0", world.computer) in rows(tables))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    world = World(sys.argv[1])
    failed = 0
    world.start_all()
    try:
        for function in CHECKS:
            try:
                function(world)
                print(f"ok      {function.__name__}", flush=True)
            except Exception as error:  # a failed check must not hide the others
                failed += 1
                print(f"FAILED  {function.__name__}: {type(error).__name__}: {error}", flush=True)
    finally:
        codes = world.stop_all()
    if any(codes.values()):
        failed += 1
        print(f"FAILED  a SIGTERM ends every process with 0: {codes}")
    else:
        print("ok      a SIGTERM ends every process with 0")
    print(f"{len(CHECKS) + 1 - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
