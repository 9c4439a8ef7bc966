//! The inputs of the fuzz targets of `fuzz/`, replayed: what was found once stays found.

#[path = "../fuzzed/connection.rs"]
mod connection;
#[path = "../fuzzed/hpack.rs"]
mod hpack;
#[path = "../fuzzed/http3.rs"]
mod http3;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut replayed = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        check(&std::fs::read(path).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0);
}

#[test]
fn header_blocks_are_decoded_within_their_limit() {
    replay("hpack", hpack::check);
}

#[test]
fn a_connection_stands_whatever_its_client_sends() {
    replay("connection", connection::check);
}

#[test]
fn streams_of_http_3_are_read_within_their_limits_however_they_come() {
    replay("http3", http3::check);
}
