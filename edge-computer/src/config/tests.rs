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
    assert!(missing.starts_with("platform.path: cannot read platform file /does/not/exist.json"));
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

#[test]
fn a_platform_is_bounded_and_its_problems_have_a_key() {
    let server = "[platform]\ntype = 'intel-server'\nnum-containers = ";
    let many = problem(&format!("{server}3000000\nnum-workers = 1"));
    let text = "platform.num-containers: num-containers is 3000000, must be at most 100000";
    assert_eq!(many, text);
    let idle = problem(&format!("{server}1\nnum-workers = 0"));
    assert!(
        idle.starts_with("platform.num-containers: num-workers is 0"),
        "{idle}"
    );
}

#[test]
fn functions_are_for_computers_that_execute_them() {
    let function = "[[runtime.lambda]]\nname = 'f'\ncode = 'function main() {}'";
    assert!(problem(function).starts_with("runtime.lambda: there are functions"));
    let executed = format!("[computer]\ntype = 'runtime'\n{function}");
    let config: Config = toml::from_str(&executed).unwrap();
    config.validate().unwrap();
}

#[test]
fn bounds_of_runtimes_that_make_no_sense_are_named() {
    for (key, value) in [
        ("max-containers", "0"),
        ("max-containers", "65537"),
        ("start-within", "0"),
        ("node", "''"),
    ] {
        let toml = format!("[computer]\ntype = 'runtime'\n[runtime]\n{key} = {value}");
        let text = problem(&toml);
        assert!(text.starts_with(&format!("runtime.{key}: ")), "{text}");
    }
    for key in ["deadline", "join-deadline"] {
        let text = problem(&format!("[asynchronous]\n{key} = 0"));
        assert!(text.starts_with(&format!("asynchronous.{key}: ")), "{text}");
    }
}

#[test]
fn functions_that_could_never_run_are_refused() {
    for (function, expected) in [
        ("code = ' '", "code is empty"),
        ("code = 'x'\nmain = '1bad'", "main must be a name"),
        ("code = 'x'\nmain = 'a..b'", "main must be a name"),
        ("code = 'x'\ncommand = ['a']", "command is for kind command"),
        (
            "code = 'x'\nendpoints = ['http://a:1']",
            "endpoints is for kind endpoints",
        ),
        ("code-zip = '!!!'", "code-zip is no base64"),
        (
            "code-file = '/dev/zero'",
            "cannot read /dev/zero: it is no file",
        ),
        ("code = 'x'\nmax-result-bytes = 8", "max-result-bytes"),
        (
            "code = 'x'\nenv = {PORT = '1'}",
            "sets the variable PORT itself",
        ),
        (
            "code = 'x'\nenv = {'A=B' = '1'}",
            "\"A=B\" can be no variable",
        ),
        (
            "kind = 'command'\ncommand = ['']",
            "kind command takes a command",
        ),
        (
            "kind = 'command'\ncommand = [\"a\\u0000\"]",
            "has a NUL in it",
        ),
    ] {
        let runtime = "[computer]\ntype = 'runtime'\n[[runtime.lambda]]\nname = 'f'\n";
        let text = problem(&format!("{runtime}{function}"));
        assert!(text.contains(expected), "{function}: {text}");
    }
}

#[test]
fn programs_are_looked_for_where_the_computer_was_started() {
    let lambda = |program: &str| {
        let toml =
            format!("[[lambda]]\nname = 'f'\nkind = 'command'\ncommand = ['{program}', 'x']");
        let config: RuntimeConfig = toml::from_str(&toml).unwrap();
        match config.functions().unwrap().remove(0).kind {
            crate::runtime::Kind::Command(words) => words,
            other => panic!("no command: {other:?}"),
        }
    };
    assert_eq!(lambda("python3"), ["python3", "x"]);
    assert_eq!(lambda("/bin/sh"), ["/bin/sh", "x"]);
    let own = std::env::current_dir().unwrap().join("own/server");
    assert_eq!(lambda("own/server"), [own.to_str().unwrap(), "x"]);
}
