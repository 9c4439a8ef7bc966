use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::activation::{Activation, ActivationId, Kind, Status, Texts, Trail};
use crate::json;
use crate::names::ActionName;

fn accepted(parameters: &str) -> Accepted {
    Accepted {
        id: ActivationId::random(),
        action: ActionName::parse("/a/f", "").unwrap(),
        written_out: false,
        parameters: parameters.to_owned(),
        hops: 0,
        at_ms: 1,
    }
}

fn ended(id: ActivationId, payload: &str) -> Line {
    Line::Ended(Arc::new(Activation {
        id,
        action: ActionName::parse("/a/f", "").unwrap(),
        kind: Kind::Lambda,
        start_ms: 1,
        end_ms: 2,
        cause: None,
        steps: Vec::new(),
        trail: Trail::default(),
        timed_out: false,
        limit_ms: 3,
        status: Status::Success,
        texts: Texts::new("", "", &json::object("payload", payload)),
    }))
}

struct Found {
    journal: Journal,
    thread: JournalThread,
    waiting: Vec<Accepted>,
    begun: Vec<Accepted>,
    others: Vec<Line>,
}

fn open(path: &Path, bytes: u64) -> Found {
    let config = StoreConfig {
        journal_bytes: bytes,
        ..StoreConfig::default()
    };
    let (mut read, mut others) = (Read::default(), Vec::new());
    let (journal, thread) = Journal::open(path.to_owned(), &config, |line| {
        others.extend(read.hear(line));
    })
    .unwrap();
    let (waiting, begun) = read.finish();
    Found {
        journal,
        thread,
        waiting,
        begun,
        others,
    }
}

async fn close(found: Found) {
    drop(found.journal);
    found.thread.end().await;
}

#[tokio::test]
async fn a_restart_finds_what_was_accepted_begun_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let first = open(&path, 1 << 20);
    let all = [
        accepted("{}"),
        accepted("{}"),
        accepted("{}"),
        accepted("{}"),
    ];
    for one in &all {
        first
            .journal
            .write(&Line::Accepted(one.clone()))
            .await
            .unwrap();
    }
    for one in &all[1..] {
        first.journal.write(&Line::Begun(one.id)).await.unwrap();
    }
    first
        .journal
        .write(&Line::Returned(all[2].id))
        .await
        .unwrap();
    first
        .journal
        .write(&ended(all[3].id, "\"\n"))
        .await
        .unwrap();
    // Of what was refused after all nothing is left.
    let void = accepted("{}");
    for line in [Line::Accepted(void.clone()), Line::Void(void.id)] {
        first.journal.write(&line).await.unwrap();
    }
    close(first).await;

    let second = open(&path, 1 << 20);
    let ids = |accepted: &[Accepted]| {
        let mut ids: Vec<_> = accepted.iter().map(|one| one.id).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&second.waiting), ids(&[all[0].clone(), all[2].clone()]));
    assert_eq!(ids(&second.begun), [all[1].id]);
    let [Line::Ended(activation)] = &second.others[..] else {
        panic!("{:?}", second.others);
    };
    assert_eq!(activation.texts.result(), r#"{"payload":"\"\n"}"#);
    close(second).await;
}

#[tokio::test]
async fn a_full_journal_forgets_what_has_ended_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let first = open(&path, 20_000);
    let promise = accepted(r#"{"keep":"me"}"#);
    first
        .journal
        .write(&Line::Accepted(promise.clone()))
        .await
        .unwrap();
    first.journal.write(&Line::Begun(promise.id)).await.unwrap();
    for _ in 0..200 {
        let line = ended(ActivationId::random(), &"x".repeat(500));
        first.journal.write(&line).await.unwrap();
    }
    close(first).await;
    let size: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(size < 25_000, "{size}");
    // What actions are called with and answer is nobody else's business.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file:?}");
    }
    let second = open(&path, 20_000);
    assert_eq!(second.begun.len(), 1);
    assert_eq!(second.begun[0].parameters, promise.parameters);
    assert!(!second.others.is_empty());
    close(second).await;
}

#[tokio::test]
async fn a_line_that_was_cut_off_is_skipped_and_the_next_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let first = open(&path, 1 << 20);
    first
        .journal
        .write(&ended(ActivationId::random(), "1"))
        .await
        .unwrap();
    close(first).await;
    let mut text = std::fs::read(&path).unwrap();
    text.extend(br#"{"accepted":{"id":"0123"#);
    std::fs::write(&path, text).unwrap();
    let second = open(&path, 1 << 20);
    assert_eq!(second.others.len(), 1);
    second
        .journal
        .write(&ended(ActivationId::random(), "2"))
        .await
        .unwrap();
    close(second).await;
    let third = open(&path, 1 << 20);
    assert_eq!(third.others.len(), 2);
    close(third).await;
}

#[tokio::test]
async fn a_journal_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let first = open(&path, 1 << 20);
    let second = Journal::open(path.clone(), &StoreConfig::default(), drop);
    assert!(matches!(second, Err(JournalError::InUse { .. })));
    close(first).await;
    close(open(&path, 1 << 20)).await;
}
