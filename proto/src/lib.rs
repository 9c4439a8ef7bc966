//! The wire contract: messages, services and partial views of encoded messages.
//!
//! [`rpc`] is generated from the `.proto` files of this folder, package
//! `uiiit.rpc`, and is compatible with ServerlessOnEdge in both directions.
//! [`message`] says what the fields mean as a request travels; [`view`] reads
//! and patches the few fields that forwarding needs in an encoded message,
//! without decoding the rest; [`workflow`] is what a request is part of: a
//! chain or a graph of functions. [`counted`] bounds what a message from outside
//! may take when it is decoded, and [`table`] reads a router's table so.

pub mod counted;
pub mod message;
pub mod table;
pub mod view;
pub mod workflow;

/// Generated types of package `uiiit.rpc`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
pub mod rpc {
    tonic::include_proto!("uiiit.rpc");
}

/// Generated types of package `uiiit.etsimec.rpc`: management of an ETSI MEC LCM proxy,
/// compatible with the C++ reference.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
pub mod etsimec {
    tonic::include_proto!("uiiit.etsimec.rpc");
}

/// Generated types of package `edge.mx2.v1`: what that management has no word for.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
pub mod mx2 {
    tonic::include_proto!("edge.mx2.v1");
}

/// All descriptors of the contract, encoded, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The `retcode` of success.
pub const OK: &str = "OK";

/// Hops beyond which a request is taken for one that goes in circles.
pub const MAX_HOPS: u32 = 254;

/// gRPC path of the method that everything here exists for.
pub const RUN_LAMBDA_PATH: &str = "/uiiit.rpc.EdgeServer/RunLambda";

/// gRPC path of the method that changes forwarding tables, as often as things change.
pub const CONFIGURE_PATH: &str = "/uiiit.rpc.EdgeRouter/Configure";
