//! The inputs of the fuzz target `conf_string` of `fuzz/`, replayed: what was found once stays found.

#[path = "../fuzzed/conf_string.rs"]
mod conf_string;

#[test]
fn conf_strings_are_read_or_refused_with_a_place() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/conf_string");
    let mut replayed = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        conf_string::check(&std::fs::read(path).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0);
}
