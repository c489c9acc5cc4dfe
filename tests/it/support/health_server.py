"""A gRPC server with the official health service, driven by lines on its input.

`NAME STATUS` sets the health of a service; every line is answered with `done`.
Arguments: the port, then `health` or `bare` (no health service), then for TLS the
key and the certificate.
"""

import sys
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

port, mode = sys.argv[1], sys.argv[2]
server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
servicer = health.HealthServicer()
servicer.set("", health_pb2.HealthCheckResponse.SERVING)
if mode == "health":
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
if len(sys.argv) > 3:
    key, certificate = (open(path, "rb").read() for path in sys.argv[3:5])
    server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, certificate)]))
else:
    server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
print("done", flush=True)
for line in sys.stdin:
    name, status = line.rstrip("\n").split(" ")
    servicer.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(status))
    print("done", flush=True)
