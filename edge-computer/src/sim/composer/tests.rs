//! The well-known platforms, and the tables and files they are asked for with.

use serde_json::{Value, json};

use super::*;
use crate::sim::{Estimator, SimTime, json_example};

fn read(table: Value) -> Result<PlatformConfig, String> {
    serde_json::from_value(table).map_err(|error| error.to_string())
}

fn raspberry(cpu: (u32, u32), gpu: (u32, u32)) -> PlatformConfig {
    PlatformConfig::Raspberry {
        num_cpu_containers: cpu.0,
        num_cpu_workers: cpu.1,
        num_gpu_containers: gpu.0,
        num_gpu_workers: gpu.1,
    }
}

fn seconds(computer: &mut Computer, lambda: &str, bytes: usize) -> f64 {
    computer
        .estimate(SimTime::ZERO, lambda, bytes, Estimator::Exact)
        .unwrap()
        .seconds()
}

#[test]
fn m1_the_types_are_file_intel_server_and_raspberry() {
    let error = read(json!({"type": "mainframe"})).unwrap_err();
    assert_eq!(
        error,
        "unknown variant `mainframe`, expected one of `file`, `intel-server`, `raspberry`"
    );
}

#[test]
fn m2_an_intel_server_is_composed() {
    let config = read(json!({"type": "intel-server", "num-containers": 1, "num-workers": 4}));
    let mut computer = compose("c", &config.unwrap()).unwrap();
    assert_eq!(
        computer.to_string(),
        "computer c\n\
         processor name xeon, type GenericCpu, 20 cores, speed 4000000000 operations/s per core, \
         memory total/available/used 137438953472/137438953472/0 bytes, 0 running tasks\n\
         container name ccontainer0, lambda name clambda0, num-workers 4, active 0, pending 0\n"
    );
    assert_eq!(seconds(&mut computer, "clambda0", 1000), 0.251);
}

#[test]
fn m2_a_raspberry_is_composed() {
    let config = read(json!({
        "type": "raspberry",
        "num-cpu-containers": 1, "num-cpu-workers": 4,
        "num-gpu-containers": 1, "num-gpu-workers": 2,
    }));
    assert_eq!(config, Ok(PlatformConfig::default()));
    let mut computer = compose("c", &config.unwrap()).unwrap();
    assert_eq!(
        computer.to_string(),
        "computer c\n\
         processor name arm, type GenericCpu, 4 cores, speed 100000000000 operations/s per core, \
         memory total/available/used 536870912/536870912/0 bytes, 0 running tasks\n\
         processor name bm2837, type GenericGpu, 1 cores, speed 100000000000 operations/s per \
         core, memory total/available/used 536870912/536870912/0 bytes, 0 running tasks\n\
         container name ccontainer0, lambda name clambda0, num-workers 4, active 0, pending 0\n\
         container name gcontainer0, lambda name glambda0, num-workers 2, active 0, pending 0\n"
    );
    assert_eq!(seconds(&mut computer, "clambda0", 10_000), 0.10004);
    assert_eq!(seconds(&mut computer, "glambda0", 10_000), 0.10001);
}

#[test]
fn m2_the_json_example_is_composed_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("example.json");
    std::fs::write(&path, json_example()).unwrap();
    let config = read(json!({"type": "file", "path": path})).unwrap();
    let computer = compose("c", &config).unwrap();
    assert_eq!(computer.containers().count(), 1);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("platform.json");
    let config = PlatformConfig::File { path: path.clone() };
    let error = anyhow::Error::from(compose("c", &config).unwrap_err());
    let expected = format!("cannot read platform file {}: ", path.display());
    assert!(format!("{error:#}").starts_with(&expected), "{error:#}");

    std::fs::write(&path, "{\n  \"version\" 1}").unwrap();
    let error = anyhow::Error::from(compose("c", &config).unwrap_err());
    let expected = format!(
        "platform file {} describes no computer: expected `:` at line 2 column 13",
        path.display()
    );
    assert_eq!(format!("{error:#}"), expected);
}

#[test]
fn missing_and_unknown_keys_are_named() {
    let cases = [
        (json!({"type": "intel-server"}), "num-containers"),
        (
            json!({"type": "intel-server", "num-containers": 1}),
            "num-workers",
        ),
        (json!({"type": "file"}), "path"),
        (json!({"type": "raspberry"}), "num-cpu-containers"),
        (
            json!({"type": "raspberry", "num-cpu-containers": 0}),
            "num-gpu-containers",
        ),
    ];
    for (table, key) in cases {
        let error = read(table).unwrap_err();
        assert!(
            error.starts_with(&format!("missing field `{key}`")),
            "{error}"
        );
    }
    let error = read(json!({"num-cores": 4})).unwrap_err();
    assert!(error.starts_with("unknown field `num-cores`"), "{error}");
}

#[test]
fn keys_without_a_type_change_the_default() {
    assert_eq!(read(json!({})), Ok(PlatformConfig::default()));
    let config = read(json!({"num-cpu-workers": 8}));
    assert_eq!(config, Ok(raspberry((1, 8), (1, 2))));
    let error = read(json!({"path": "platform.json"})).unwrap_err();
    assert!(error.starts_with("missing field `type`"), "{error}");
}

#[test]
fn keys_of_another_type_are_ignored() {
    let table = json!({"type": "file", "path": "x", "num-cpu-workers": 8});
    assert_eq!(read(table), Ok(PlatformConfig::File { path: "x".into() }));
}

#[test]
fn a_configuration_is_written_as_it_is_read() {
    let configs = [
        PlatformConfig::default(),
        PlatformConfig::IntelServer {
            num_containers: 2,
            num_workers: 3,
        },
        PlatformConfig::File { path: "x".into() },
    ];
    for config in configs {
        let table = serde_json::to_value(&config).unwrap();
        assert_eq!(read(table), Ok(config));
    }
}

#[test]
fn workers_are_needed_only_where_there_are_containers() {
    let table = json!({"type": "raspberry", "num-cpu-containers": 3, "num-cpu-workers": 1,
                       "num-gpu-containers": 0});
    let computer = compose("c", &read(table).unwrap()).unwrap();
    let lambdas: Vec<&str> = computer.containers().map(|c| c.lambda).collect();
    assert_eq!(lambdas, ["clambda0", "clambda1", "clambda2"]);
    let error = compose("c", &raspberry((1, 1), (2, 0))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "num-gpu-workers is 0, must be at least 1 since num-gpu-containers is 2"
    );
}
