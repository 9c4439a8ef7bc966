//! Precedence between layers.

mod errors;

use serde::Deserialize;

use super::*;
use crate::{
    admin::AdminConfig,
    conf_string::{Key, Kind},
    log::{LogConfig, LogFormat},
};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    num_threads: usize,
    server: Server,
    table: Table,
    log: LogConfig,
    admin: AdminConfig,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Server {
    endpoint: String,
    max_requests: u64,
    names: Vec<String>,
    advertise: Option<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            endpoint: "0.0.0.0:6473".to_owned(),
            max_requests: u64::MAX,
            names: Vec::new(),
            advertise: None,
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields, rename_all = "kebab-case")]
enum Table {
    LeastCost {
        probes: u32,
    },
    Random {},
    ProportionalFairness {
        #[serde(default)]
        alpha: f64,
        #[serde(default)]
        beta: f64,
    },
    Prequal {
        #[serde(default = "three")]
        probes: u32,
    },
}

fn three() -> u32 {
    3
}

impl Default for Table {
    fn default() -> Self {
        Self::LeastCost { probes: 8 }
    }
}

static TABLE_CONF: ConfSchema = ConfSchema {
    option: "--table-conf",
    section: "table",
    kinds: &[
        Kind {
            name: "least-cost",
            keys: &[Key::integer("probes")],
        },
        Kind {
            name: "random",
            keys: &[],
        },
        Kind {
            name: "proportional-fairness",
            keys: &[Key::float("alpha"), Key::float("beta")],
        },
        Kind {
            name: "prequal",
            keys: &[Key::integer("probes")],
        },
    ],
    common: &[],
};

fn layers() -> Layers {
    Layers::new("edgerouter")
        .environment::<&str, &str>([])
        .conf_string(&TABLE_CONF, None)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    file
}

fn load(layers: Layers) -> Config {
    layers.load().unwrap().config
}

fn refusal(layers: Layers) -> String {
    layers.load::<Config>().unwrap_err().to_string()
}

#[test]
fn without_layers_the_defaults_stand() {
    assert_eq!(load(layers()), Config::default());
}

#[test]
fn flags_override_environment_overrides_file_overrides_defaults() {
    let file = file("num-threads = 1\n[server]\nendpoint = 'file:1'\nmax-requests = 10\n");
    let config = load(layers().file(file.path()));
    assert_eq!(
        (config.num_threads, config.server.endpoint.as_str()),
        (1, "file:1")
    );
    assert_eq!(config.server.max_requests, 10);

    let environment = [
        ("EDGEROUTER__NUM_THREADS", "2"),
        ("EDGEROUTER__SERVER__ENDPOINT", "env:2"),
    ];
    let config = load(layers().file(file.path()).environment(environment));
    assert_eq!(
        (config.num_threads, config.server.endpoint.as_str()),
        (2, "env:2")
    );
    assert_eq!(config.server.max_requests, 10);

    let flagged = layers()
        .flag("--num-threads", "num-threads", Some(3))
        .flag("--server-endpoint", "server.endpoint", None::<String>)
        .file(file.path())
        .environment(environment);
    let config = load(flagged);
    assert_eq!(
        (config.num_threads, config.server.endpoint.as_str()),
        (3, "env:2")
    );
}

#[test]
fn a_later_file_overrides_an_earlier_one() {
    let (one, two) = (
        file("num-threads = 1\nserver.max-requests = 1"),
        file("num-threads = 2"),
    );
    let config = load(layers().file(one.path()).file(two.path()));
    assert_eq!((config.num_threads, config.server.max_requests), (2, 1));
}

#[test]
fn lists_are_replaced_not_joined() {
    let file = file("server.names = ['a', 'b']");
    let config = load(
        layers()
            .file(file.path())
            .environment([("EDGEROUTER__SERVER__NAMES", "['c']")]),
    );
    assert_eq!(config.server.names, ["c"]);
}

#[test]
fn a_conf_string_is_merged_key_by_key_over_the_file() {
    let file = file("[table]\ntype = 'proportional-fairness'\nalpha = 1\nbeta = 2\n");
    let config = load(
        layers()
            .file(file.path())
            .conf_string(&TABLE_CONF, Some("beta=3")),
    );
    assert_eq!(
        config.table,
        Table::ProportionalFairness {
            alpha: 1.0,
            beta: 3.0
        }
    );
}

#[test]
fn a_change_of_type_drops_the_keys_of_the_old_type() {
    let file = file("[table]\ntype = 'proportional-fairness'\nalpha = 1\n");
    let loaded: Loaded<Config> = layers()
        .file(file.path())
        .conf_string(&TABLE_CONF, Some("type=random"))
        .load()
        .unwrap();
    assert_eq!(loaded.config.table, Table::Random {});
    assert!(loaded.warnings().is_empty());

    let environment = [("EDGEROUTER__TABLE__TYPE", "random")];
    assert_eq!(
        load(layers().file(file.path()).environment(environment)).table,
        Table::Random {}
    );
}

#[test]
fn the_defaults_of_another_type_do_not_count_even_without_a_schema() {
    let file = file("[table]\ntype = 'random'\n");
    let layers = Layers::new("edgerouter").environment::<&str, &str>([]);
    assert_eq!(load(layers.file(file.path())).table, Table::Random {});
}

#[test]
fn a_key_that_two_types_have_keeps_what_was_said_but_not_the_default_of_the_other_one() {
    let prequal = |layers: Layers| {
        let layers = layers.conf_string(&TABLE_CONF, Some("type=prequal"));
        load(layers).table
    };
    assert_eq!(prequal(layers()), Table::Prequal { probes: 3 });
    let said = file("[table]\ntype = 'least-cost'\nprobes = 5\n");
    assert_eq!(
        prequal(layers().file(said.path())),
        Table::Prequal { probes: 5 }
    );
}

#[test]
fn the_type_of_the_file_or_the_default_decides_what_a_key_means() {
    let loaded: Loaded<Config> = layers()
        .conf_string(&TABLE_CONF, Some("alpha=1"))
        .load()
        .unwrap();
    assert_eq!(loaded.config.table, Table::LeastCost { probes: 8 });
    assert_eq!(
        loaded.warnings(),
        ["--table-conf: key `alpha` means nothing to type `least-cost` and is ignored"]
    );
    assert_eq!(
        load(layers().conf_string(&TABLE_CONF, Some("probes=2"))).table,
        Table::LeastCost { probes: 2 }
    );
}

#[test]
fn conf_is_a_file_or_a_conf_string() {
    let file = file("num-threads = 7\ntable = { type = 'proportional-fairness', alpha = 1 }");
    let flags = CommonFlags {
        conf: vec![
            ConfArg::Inline("beta=2".to_owned()),
            ConfArg::File(file.path().to_owned()),
        ],
        ..CommonFlags::default()
    };
    let layers = || Layers::new("edgerouter").environment::<&str, &str>([]);
    let config = load(layers().common(&flags, Some(&TABLE_CONF)));
    assert_eq!(config.num_threads, 7);
    assert_eq!(
        config.table,
        Table::ProportionalFairness {
            alpha: 1.0,
            beta: 2.0
        }
    );
    assert_eq!(
        refusal(layers().common(&flags, None)),
        "option --conf: `beta=2` is a conf string, but this program takes the path of a TOML file"
    );
}

#[test]
fn the_common_flags_reach_their_sections() {
    let flags = CommonFlags {
        log: Some("debug".parse().unwrap()),
        log_format: Some(LogFormat::Json),
        admin_endpoint: Some("9999".parse().unwrap()),
        ..CommonFlags::default()
    };
    let config = load(
        layers()
            .environment([("RUST_LOG", "trace")])
            .common(&flags, None),
    );
    assert_eq!(config.log.filter.to_string(), "debug");
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.admin, AdminConfig::on_port(9999));
}

#[test]
fn rust_log_is_heard() {
    let config = load(layers().environment([("RUST_LOG", "trace")]));
    assert_eq!(config.log.filter.to_string(), "trace");
    let error = refusal(layers().environment([("RUST_LOG", "inof")]));
    assert!(
        error.starts_with("environment variable RUST_LOG: `log.filter`: invalid log filter"),
        "{error}"
    );
}

#[test]
fn the_printed_configuration_loads_to_the_same() {
    let loaded: Loaded<Config> = layers()
        .conf_string(&TABLE_CONF, Some("type=proportional-fairness,alpha=0.5"))
        .flag("--advertise", "server.advertise", Some("edge1:6473"))
        .load()
        .unwrap();
    let printed = file(&loaded.to_toml().unwrap());
    assert_eq!(load(layers().file(printed.path())), loaded.config);
}

#[test]
fn a_variable_is_text_where_text_is_expected_whatever_it_looks_like() {
    let config = load(layers().environment([
        ("EDGEROUTER__SERVER__ADVERTISE", "0x10"),
        ("EDGEROUTER__SERVER__ENDPOINT", "[1, 2]"),
        ("EDGEROUTER__ADMIN__ENDPOINT", "9000"),
        ("EDGEROUTER__NUM_THREADS", "3"),
    ]));
    assert_eq!(config.server.advertise.as_deref(), Some("0x10"));
    assert_eq!(config.server.endpoint, "[1, 2]");
    assert_eq!(config.admin, AdminConfig::on_port(9000));
    assert_eq!(config.num_threads, 3);
    let error = refusal(layers().environment([("EDGEROUTER__ADMIN__ENDPOINT", "70000")]));
    assert!(
        error.contains("`admin.endpoint`: invalid admin endpoint"),
        "{error}"
    );
    // A file says what it means.
    let file = file("[server]\nadvertise = 5\n");
    let error = refusal(layers().file(file.path()));
    assert!(error.contains("expected a string"), "{error}");
}
