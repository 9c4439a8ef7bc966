//! Errors that say where and what would be right.

use super::*;

/// The refusal of a file, its path replaced by FILE.
fn refusal_of(text: &str) -> String {
    let file = file(text);
    let path = file.path().display().to_string();
    refusal(layers().file(file.path())).replace(&path, "FILE")
}

#[test]
fn an_unknown_key_of_a_file_is_named_with_its_line_and_the_nearest() {
    assert_eq!(
        refusal_of("num-threads = 1\n\n[server]\nendpiont = 'x:1'\n"),
        "FILE, line 4: `server.endpiont`: unknown key: did you mean `endpoint`? \
         (valid: endpoint, max-requests, names, advertise)"
    );
    assert_eq!(
        refusal_of("# a comment\n[tabel]\ntype = 'random'\n"),
        "FILE, line 2: `tabel`: unknown key: did you mean `table`? \
         (valid: num-threads, server, table, log, admin)"
    );
}

#[test]
fn an_unknown_key_of_a_section_with_a_type_is_found_too() {
    assert_eq!(
        refusal_of("[table]\ntype = 'proportional-fairness'\n\nalpah = 1\n"),
        "FILE, line 4: `table.alpah`: unknown key: did you mean `alpha`? (valid: alpha, beta, type)"
    );
}

#[test]
fn an_unknown_type_names_its_line_and_the_nearest() {
    assert_eq!(
        refusal_of("[table]\n\ntype = 'randon'\n"),
        "FILE, line 3: `table.type`: unknown value `randon`: did you mean `random`? \
         (valid: least-cost, random, proportional-fairness, prequal)"
    );
}

#[test]
fn a_wrong_type_is_named_with_its_line() {
    assert_eq!(
        refusal_of("\n\nnum-threads = 'many'\n"),
        "FILE, line 3: `num-threads`: invalid type: string \"many\", expected a whole number, 0 or more"
    );
    assert_eq!(
        refusal_of("[server]\nnames = [\n  'a',\n  5,\n]\n"),
        "FILE, line 4: `server.names`: invalid type: integer `5`, expected a string"
    );
    assert_eq!(
        refusal_of("log = 3\n"),
        "FILE, line 1: `log`: invalid type: integer `3`, expected a section of keys, as in `[log]`"
    );
    assert_eq!(
        refusal_of("[server]\nendpoint = { port = 1 }\n"),
        "FILE, line 2: `server.endpoint`: invalid type: section, expected a string"
    );
    assert_eq!(
        refusal_of("table = 'random'\n"),
        "FILE, line 1: `table`: invalid type: string \"random\", expected a section of keys, as in `[table]`"
    );
    assert_eq!(
        refusal_of("num-threads = -1\n"),
        "FILE, line 1: `num-threads`: invalid value: integer `-1`, expected a whole number, 0 or more"
    );
}

#[test]
fn what_is_not_toml_is_named_with_its_line() {
    let error = refusal_of("num-threads = 1\nserver endpoint = 2\n");
    assert!(error.starts_with("FILE, line 2: "), "{error}");
    let error = refusal_of("num-threads = 1\nnum-threads = 2\n");
    assert!(error.starts_with("FILE, line 2: "), "{error}");
}

#[test]
fn an_unreadable_file_says_which_and_why() {
    let error = layers()
        .file("/nonexistent/router.toml")
        .load::<Config>()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read configuration file /nonexistent/router.toml"
    );
    let ConfigError::Unreadable { source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn an_error_names_the_variable() {
    assert_eq!(
        refusal(layers().environment([("EDGEROUTER__NUM_THREDS", "1")])),
        "environment variable EDGEROUTER__NUM_THREDS: `num-threds`: unknown key: \
         did you mean `num-threads`? (valid: num-threads, server, table, log, admin)"
    );
    assert_eq!(
        refusal(layers().environment([("EDGEROUTER__NUM_THREADS", "many")])),
        "environment variable EDGEROUTER__NUM_THREADS: `num-threads`: \
         invalid type: string \"many\", expected a whole number, 0 or more"
    );
    assert_eq!(
        refusal(layers().environment([("EDGEROUTER__TABLE__ALPHA", "1")])),
        "environment variable EDGEROUTER__TABLE__ALPHA: `table.alpha`: unknown key: valid: probes, type"
    );
}

#[test]
fn an_error_names_the_option() {
    assert_eq!(
        refusal(layers().flag("--num-threads", "num-threads", Some(-1))),
        "option --num-threads: `num-threads`: invalid value: integer `-1`, expected a whole number, 0 or more"
    );
    assert_eq!(
        refusal(layers().conf_string(&TABLE_CONF, Some("probes=-1"))),
        "option --table-conf: `table`: invalid value: integer `-1`, expected a whole number from 0 to 4294967295"
    );
    let error = refusal(layers().conf_string(&TABLE_CONF, Some("probs=1")));
    assert!(error.contains("did you mean `probes`?"), "{error}");
}

#[test]
fn the_programs_own_checks_say_where_too() {
    let file = file("[server]\nmax-requests = 0\n");
    let loaded: Loaded<Config> = layers().file(file.path()).load().unwrap();
    assert_eq!(
        loaded
            .invalid("server.max-requests", "must be at least 1")
            .to_string(),
        format!(
            "{}, line 2: `server.max-requests`: must be at least 1",
            file.path().display()
        )
    );
    assert_eq!(loaded.origin("num-threads"), Origin::Default);
}
