//! Compiles the `.proto` files without `protoc`: `protox` makes the descriptor
//! set, `tonic-prost-build` the code.

use std::path::PathBuf;

use prost::Message as _;

const FILES: [&str; 8] = [
    "edge/mx2/mx2.proto",
    "uiiit/etsimec/management.proto",
    "uiiit/rpc/common.proto",
    "uiiit/rpc/computer.proto",
    "uiiit/rpc/controller.proto",
    "uiiit/rpc/lambda.proto",
    "uiiit/rpc/router.proto",
    "uiiit/rpc/state.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
