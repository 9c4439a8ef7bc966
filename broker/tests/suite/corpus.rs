//! The inputs of the fuzz target `configuration` of `fuzz/`, replayed: what was found once stays found.

#[path = "../fuzzed/configuration.rs"]
mod configuration;

#[test]
fn configurations_are_refused_or_printed_as_they_were_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/configuration");
    let scratch = tempfile::tempdir().unwrap();
    let mut replayed = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        configuration::check(&std::fs::read(path).unwrap(), scratch.path());
        replayed += 1;
    }
    assert!(replayed > 0);
}
