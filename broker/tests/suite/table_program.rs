//! `forwardingtableclient` as its users meet it.

use crate::programs::{fails, program};
use crate::support::process::Process;
use crate::support::{config, start};

#[test]
fn the_table_client_prints_what_the_reference_prints() {
    let router = Process::start(&[]);
    let client = |arguments: &[&str]| {
        let mut all = vec!["--server", router.tables.as_str()];
        all.extend_from_slice(arguments);
        let output = program("forwardingtableclient", &all);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(client(&[]), "Table#0\nTable#1\n");
    let add = ["--action", "change", "--lambda"];
    assert_eq!(
        client(&[&add[..], &["f", "--destination", "10.0.0.1:1", "--final"]].concat()),
        "OK\n"
    );
    assert_eq!(
        client(
            &[
                &add[..],
                &["f", "--destination", "10.0.0.2:1", "--weight", "0.5"]
            ]
            .concat()
        ),
        "OK\n"
    );
    assert_eq!(
        client(
            &[
                &add[..],
                &["longer", "--destination", "10.0.0.1:1", "--weight", "42"]
            ]
            .concat()
        ),
        "OK\n"
    );
    assert_eq!(
        client(&["--action", "dump"]),
        "Table#0\nf      [1  ] 10.0.0.1:1 (F)\n       [0.5] 10.0.0.2:1\nlonger [42 ] 10.0.0.1:1\nTable#1\nf [1] 10.0.0.1:1 (F)\n"
    );
    assert_eq!(client(&["--action", "reset"]), "OK\n");
    assert!(client(&[]).contains("longer [1] 10.0.0.1:1\n"));
    let remove = [
        "--action",
        "remove",
        "--lambda",
        "f",
        "--destination",
        "10.0.0.1:1",
    ];
    assert_eq!(client(&remove), "OK\n");
    assert_eq!(
        client(&[]),
        "Table#0\nf      [1] 10.0.0.2:1\nlonger [1] 10.0.0.1:1\nTable#1\n"
    );
    assert_eq!(client(&["--action", "flush"]), "OK\n");
    assert_eq!(client(&[]), "Table#0\nTable#1\n");
}

#[test]
fn the_table_client_reports_what_the_router_refuses() {
    let router = Process::start(&[]);
    let output = program(
        "forwardingtableclient",
        &[
            "--server",
            &router.tables,
            "--action",
            "change",
            "--weight",
            "-1",
        ],
    );
    fails(&output, 1, &["Invalid weight '-1.000000', must be > 0"]);
    let output = program("forwardingtableclient", &["--action", "paint"]);
    fails(&output, 2, &["paint", "dump", "change"]);
    let output = program("forwardingtableclient", &["--server", "127.0.0.1:1"]);
    fails(&output, 1, &["127.0.0.1:1", "refused"]);
}

#[tokio::test]
async fn the_table_client_shows_tables_of_any_size() {
    let mut many = config();
    many.fake.num_lambdas = 12;
    many.fake.num_destinations = 10_000;
    let router = start(many).await;
    let tables = router.router.table_address().to_string();
    let output = tokio::task::spawn_blocking(move || {
        program("forwardingtableclient", &["--server", &tables])
    })
    .await
    .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = output.stdout.split(|byte| *byte == b'\n').count();
    assert_eq!(lines, 120_000 + 2 + 1);
}
