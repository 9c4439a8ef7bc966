//! The inputs of the fuzz targets of `fuzz/`, replayed: what was found once stays found.

#[path = "../fuzzed/request.rs"]
mod request;
#[path = "../fuzzed/response.rs"]
mod response;

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
fn requests_are_viewed_as_they_are_decoded() {
    replay("request", request::check);
}

#[test]
fn responses_are_viewed_as_they_are_decoded() {
    replay("response", response::check);
}
