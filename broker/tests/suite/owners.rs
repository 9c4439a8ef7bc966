//! Whom entries of the tables belong to.

use crate::support::process::Process;
use crate::support::{Running, change, config, start};
use assert_cmd::cargo::CommandCargoExt as _;
use edge_proto::rpc::edge_router_conf::Action;
use edge_proto::rpc::{EdgeRouterConf, TableId};
use std::process::Command;

const AT: &str = "127.0.0.1:1";

fn owned(lambda: &str, owner: &str) -> EdgeRouterConf {
    EdgeRouterConf {
        owner: owner.into(),
        ..change(lambda, AT, 1.0, true)
    }
}

fn removal(lambda: &str, owner: &str) -> EdgeRouterConf {
    EdgeRouterConf {
        action: Action::Remove as i32,
        ..owned(lambda, owner)
    }
}

/// The owner of each entry, as both tables show it.
async fn owners(router: &mut Running) -> Vec<String> {
    let mut shown = Vec::new();
    for value in 0..2 {
        let id = TableId {
            value,
            ..TableId::default()
        };
        let table = router.tables.get_table(id).await.unwrap().into_inner();
        assert!(table.has_owners, "also of an empty table");
        let owners = table.entries.into_iter().map(|entry| entry.owner);
        shown.push(owners.collect::<Vec<_>>());
    }
    assert_eq!(shown[0], shown[1]);
    shown.swap_remove(0)
}

#[tokio::test]
async fn whoever_changes_an_entry_takes_it_over() {
    let mut router = start(config()).await;
    assert_eq!(owners(&mut router).await, [""; 0]);
    for (owner, shown) in [("a", "a"), ("b", "b"), ("", ""), ("a", "a")] {
        assert_eq!(router.configure(owned("f", owner)).await, "OK");
        assert_eq!(owners(&mut router).await, [shown]);
    }
    let invalid = EdgeRouterConf {
        weight: -1.0,
        ..owned("f", "b")
    };
    let refused = router.configure(invalid).await;
    assert!(refused.starts_with("Error: "), "{refused}");
    assert_eq!(owners(&mut router).await, ["a"]);
}

#[tokio::test]
async fn a_removal_for_an_owner_leaves_alone_what_belongs_to_others() {
    let mut router = start(config()).await;
    for (lambda, owner) in [("f", "a"), ("g", "b"), ("h", "")] {
        assert_eq!(router.configure(owned(lambda, owner)).await, "OK");
    }
    for lambda in ["f", "g", "h"] {
        for owner in ["a", "nobody-yet"] {
            assert_eq!(router.configure(removal(lambda, owner)).await, "OK");
        }
    }
    assert_eq!(owners(&mut router).await, ["b", ""]);
    // One for nobody in particular removes whatever it is told to.
    for lambda in ["g", "h"] {
        assert_eq!(router.configure(removal(lambda, "")).await, "OK");
    }
    assert_eq!(owners(&mut router).await, [""; 0]);
}

#[tokio::test]
async fn owners_are_bounded_and_those_who_have_nothing_do_not_count() {
    let mut router = start(config()).await;
    for round in 0..2 {
        for number in 0..100 {
            let owner = format!("owner{round}-{number}");
            assert_eq!(router.configure(owned("f", &owner)).await, "OK");
        }
    }
    for number in 1..31 {
        let own = owned(&format!("f{number}"), &format!("owner{number}"));
        assert_eq!(router.configure(own).await, "OK");
    }
    let refused = router.configure(owned("g", "another")).await;
    assert!(refused.starts_with("Error: Too many owners"), "{refused}");
    assert_eq!(owners(&mut router).await.len(), 31);
    assert_eq!(router.configure(removal("f7", "")).await, "OK");
    assert_eq!(router.configure(owned("g", "another")).await, "OK");
    let refused = router.configure(owned("h", &"x".repeat(256))).await;
    assert!(refused.starts_with("Error: Invalid owner"), "{refused}");
}

#[test]
fn the_table_client_sets_and_shows_owners_and_keeps_them_when_it_resets() {
    let router = Process::start(&[]);
    let client = |arguments: &str| {
        let output = Command::cargo_bin("forwardingtableclient")
            .unwrap()
            .args(["--server", &router.tables])
            .args(arguments.split_whitespace())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let ok = (Some(0), "OK\n".to_owned());
    let change = "--action change --destination 10.0.0.1:1";
    assert_eq!(
        client(&format!("{change} --lambda f --weight 2 --owner a")),
        ok
    );
    assert_eq!(client(&format!("{change} --lambda g --final")), ok);
    assert_eq!(client("--action reset"), ok);
    let shown =
        "Table#0\nf [1] 10.0.0.1:1 a\ng [1] 10.0.0.1:1 (F) -\nTable#1\ng [1] 10.0.0.1:1 (F) -\n";
    assert_eq!(client("--show-owners"), (Some(0), shown.to_owned()));
    let remove = "--action remove --destination 10.0.0.1:1 --lambda f";
    assert_eq!(client(&format!("{remove} --owner b")), ok);
    assert_eq!(client("--show-owners").1, shown);
    assert_eq!(client(&format!("{remove} --owner a")), ok);
    assert!(!client("").1.contains('f'));
    let (code, said) = client("--action flush --owner a");
    assert_eq!(code, Some(2));
    assert!(said.contains("--owner is for"), "{said}");
}
