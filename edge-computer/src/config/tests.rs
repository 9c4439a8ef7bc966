//! What is refused, and what survives a round trip through TOML.

use super::*;

fn problem(text: &str) -> String {
    let config: Config = toml::from_str(text).unwrap();
    config.validate().unwrap_err().to_string()
}

#[test]
fn the_defaults_are_valid_and_survive_toml() {
    let config = Config::default();
    config.validate().unwrap();
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
}

#[test]
fn values_that_make_no_sense_are_named() {
    for count in [0, 513, 100_000] {
        let text = problem(&format!("[server]\nnum-threads = {count}"));
        assert_eq!(text, "server.num-threads: must be from 1 to 512");
    }
    assert!(problem("[server]\nadvertise = 'host:0'").starts_with("server.advertise: "));
    assert!(problem("[state]\nserve = false").contains("--state-endpoint"));
    assert!(problem("[asynchronous]\nmax-queued = 0").starts_with("asynchronous.max-queued: "));
    let bytes = problem("[asynchronous]\nmax-queued-bytes = 0");
    assert!(bytes.starts_with("asynchronous.max-queued-bytes: "));
    let missing = problem("[platform]\ntype = 'file'\npath = '/does/not/exist.json'");
    assert!(missing.starts_with("platform: cannot read platform file /does/not/exist.json"));
    assert!(missing.contains("No such file"), "{missing}");
}

#[test]
fn an_empty_end_point_is_none() {
    let config: Config = toml::from_str("[utilization]\nendpoint = ''").unwrap();
    assert_eq!(config.utilization.endpoint.get(), None);
    assert!(toml::from_str::<Config>("[controller]\nendpoint = 'nonsense'").is_err());
}

#[test]
fn a_companion_implies_callbacks() {
    assert!(!Config::default().common().takes_callbacks());
    let config: Config = toml::from_str("[asynchronous]\ncompanion = 'router:6473'").unwrap();
    assert!(config.common().takes_callbacks());
}
