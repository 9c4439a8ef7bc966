#!/usr/bin/env python3
"""Calls lambdas with aioquic's HTTP/3, an implementation that nobody here wrote.

usage: aioquic_strangers.py FOLDER_OF_PROGRAMS

Starts edgecomputer on a free UDP port of the loopback interface and does gRPC calls over
HTTP/3 by hand: frames, deadlines, trailers, errors, other services, many at once.
"""

import asyncio
import datetime
import importlib
import ipaddress
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, StreamReset
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_tools import protoc

PATIENCE = 20.0
ROOT = pathlib.Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
RUN_LAMBDA = "/uiiit.rpc.EdgeServer/RunLambda"


def compile_protos():
    """Generates the Python modules and makes them importable."""
    out = tempfile.mkdtemp(prefix="protos-")
    files = [str(ROOT / "proto" / "uiiit" / "rpc" / f"{name}.proto") for name in ("common", "lambda", "state")]
    code = protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", *files])
    assert code == 0, "protoc failed"
    sys.path.insert(0, out)
    return importlib.import_module("uiiit.rpc.lambda_pb2")


LAMBDA = compile_protos()


def write_certificates(folder):
    """An authority, and what it has signed for a server and a client."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)

    def build(name, issuer, key, signer, extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signer, hashes.SHA256())

    def save(role, certificate, key):
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (folder / f"{role}.crt").write_bytes(pem)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / f"{role}.key").write_bytes(pem)

    authority = ec.generate_private_key(ec.SECP256R1())
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    save("ca", build("ca", "ca", authority, authority, [constraints]), authority)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    for role in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        save(role, build(role, "ca", key, authority, [x509.SubjectAlternativeName(names)]), key)


class Client(QuicConnectionProtocol):
    """gRPC over HTTP/3, by hand."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = None
        self.calls = {}

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            assert event.alpn_protocol in H3_ALPN, event.alpn_protocol
            self.http = H3Connection(self._quic)
        if isinstance(event, StreamReset) and event.stream_id in self.calls:
            done = self.calls[event.stream_id]["done"]
            if not done.done():
                done.set_exception(ConnectionError(f"reset with {event.error_code}"))
        for http_event in self.http.handle_event(event) if self.http else []:
            call = self.calls.get(getattr(http_event, "stream_id", None))
            if call is None:
                continue
            if isinstance(http_event, HeadersReceived):
                call["headers"].append(
                    {name.decode(): value.decode() for name, value in http_event.headers}
                )
            elif isinstance(http_event, DataReceived):
                call["data"] += http_event.data
            if getattr(http_event, "stream_ended", False) and not call["done"].done():
                call["done"].set_result(call)

    async def call(self, path, message, *more, framed=True, ends=True):
        """Headers of the answer, its data, its trailers; one dict for each block of fields."""
        stream = self._quic.get_next_available_stream_id()
        call = {"headers": [], "data": b"", "done": asyncio.get_running_loop().create_future()}
        self.calls[stream] = call
        fields = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", path.encode()),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
            *more,
        ]
        self.http.send_headers(stream, fields)
        body = struct.pack("!BI", 0, len(message)) + message if framed else message
        self.http.send_data(stream, body, end_stream=ends)
        self.transmit()
        await asyncio.wait_for(call["done"], PATIENCE)
        del self.calls[stream]
        return call["headers"], call["data"]

    async def run_lambda(self, request, *more):
        headers, data = await self.call(RUN_LAMBDA, request.SerializeToString(), *more)
        assert headers[0][":status"] == "200", headers
        assert headers[0]["content-type"] == "application/grpc", headers
        assert headers[-1]["grpc-status"] == "0", headers
        compressed, length = struct.unpack("!BI", data[:5])
        assert (compressed, length) == (0, len(data) - 5)
        return LAMBDA.LambdaResponse.FromString(data[5:])


def request(name="clambda0", **fields):
    return LAMBDA.LambdaRequest(name=name, input="hello", **fields)


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
async def a_lambda_is_answered(client):
    answer = await client.run_lambda(request())
    assert answer.retcode == "OK", answer


@check
async def an_unknown_lambda_is_an_answer_and_no_status(client):
    answer = await client.run_lambda(request("no-such-lambda"))
    assert answer.retcode not in ("", "OK"), answer


@check
async def hundred_calls_share_the_connection(client):
    answers = await asyncio.gather(
        *(client.run_lambda(request(dry=True)) for _ in range(100))
    )
    assert all(answer.retcode == "OK" for answer in answers)


@check
async def a_large_request_arrives_as_a_whole(client):
    answer = await client.run_lambda(request(dry=True, datain=bytes(4 << 20)))
    assert answer.retcode == "OK", answer


@check
async def health_and_reflection_are_served_too(client):
    headers, data = await client.call("/grpc.health.v1.Health/Check", b"")
    assert headers[-1]["grpc-status"] == "0", headers
    # HealthCheckResponse.status = SERVING
    assert data[5:] == b"\x08\x01", data


@check
async def an_unknown_method_is_unimplemented(client):
    headers, _ = await client.call("/uiiit.rpc.EdgeServer/Nothing", b"")
    assert headers[-1]["grpc-status"] == "12", headers
    assert "/uiiit.rpc.EdgeServer/Nothing" in headers[-1]["grpc-message"], headers


@check
async def what_is_no_grpc_message_gets_a_status(client):
    headers, _ = await client.call(RUN_LAMBDA, b"\x01\x00\x00\x00\x01x", framed=False)
    assert headers[-1]["grpc-status"] == "12", headers
    headers, _ = await client.call(RUN_LAMBDA, b"\x00\x00", framed=False)
    assert headers[-1]["grpc-status"] == "13", headers


@check
async def a_request_that_never_ends_meets_its_deadline(client):
    headers, _ = await client.call(
        RUN_LAMBDA, b"\x00", (b"grpc-timeout", b"100m"), framed=False, ends=False
    )
    assert headers[-1]["grpc-status"] == "4", headers


@check
async def too_many_headers_are_refused(client):
    headers, _ = await client.call(RUN_LAMBDA, b"", (b"x-large", b"x" * 20_000))
    assert (headers[0][":status"], headers[0]["grpc-status"]) == ("200", "8"), headers


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


async def talk(port, folder):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost")
    configuration.load_verify_locations(str(folder / "ca.crt"))
    configuration.load_cert_chain(folder / "client.crt", folder / "client.key")
    failed = 0
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            async with connect(
                LOOPBACK, port, configuration=configuration, create_protocol=Client
            ) as client:
                for function in CHECKS:
                    try:
                        await function(client)
                        print(f"ok      {function.__name__}", flush=True)
                    except Exception as error:  # a failed check must not hide the others
                        failed += 1
                        text = f"{type(error).__name__}: {error}"
                        print(f"FAILED  {function.__name__}: {text}", flush=True)
                return failed
        except ConnectionError:
            # It is not there yet.
            assert asyncio.get_running_loop().time() < deadline, "no connection"
            await asyncio.sleep(0.05)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="certificates-"))
    write_certificates(folder)
    port = free_port()
    computer = subprocess.Popen(
        [
            str(pathlib.Path(sys.argv[1]) / "edgecomputer"),
            "--server-endpoint", f"{LOOPBACK}:{port}", "--server-conf", "type=quic",
            "--utilization-endpoint", "", "--admin-endpoint", "",
            "--conf", "type=raspberry,num-cpu-containers=1,num-cpu-workers=4,num-gpu-containers=0",
        ],
        env={**os.environ, "CERT_DIR": str(folder)},
    )
    try:
        failed = asyncio.run(talk(port, folder))
    finally:
        computer.send_signal(signal.SIGTERM)
        code = computer.wait(PATIENCE)
    if code:
        failed += 1
        print(f"FAILED  a SIGTERM ends the computer with 0: {code}")
    print(f"{len(CHECKS) + 1 - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
