//! How bytes move: gRPC over TCP and TLS, servers, clients, connection pools, deadlines.
