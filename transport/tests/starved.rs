//! The client on a core that has no time for it.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "suite/support/mod.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use edge_proto::rpc::LambdaRequest;
use edge_transport::{ClientOptions, Endpoint};
use futures_util::future::join_all;
use support::{ask, client};
use tokio::sync::mpsc;

const PEERS: usize = 4;
/// How long a PONG may take.
const PONG_WITHIN: Duration = Duration::from_millis(500);

/// Speaks just enough HTTP/2 to take a request and to answer PINGs: the first one, which proves the
/// connection, at once, the second one while the client is not looking. Leaves at the third one.
fn answers_the_second_ping_unseen(
    listener: &TcpListener,
    asked: &mpsc::Sender<()>,
    unseen: &Barrier,
) -> std::io::Result<()> {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const SETTINGS_ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
    const PING_ACK: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0";
    let (mut stream, _) = listener.accept()?;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface)?;
    stream.write_all(SETTINGS)?;
    let mut pings = 0;
    while pings < 3 {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        match (head[3], head[4]) {
            (4, 0) => stream.write_all(SETTINGS_ACK)?,
            (6, 0) => {
                pings += 1;
                let pong = [PING_ACK, &payload].concat();
                if pings == 2 {
                    asked.try_send(()).unwrap();
                    unseen.wait();
                    stream.write_all(&pong)?;
                    unseen.wait();
                } else {
                    stream.write_all(&pong)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the answer or the end of the time is looked at first is a matter of chance, so there
/// are several peers.
#[tokio::test]
async fn a_sign_of_life_that_came_while_nobody_looked_counts() {
    let unseen = Arc::new(Barrier::new(PEERS + 1));
    let (asked, mut pings) = mpsc::channel(PEERS);
    let mut endpoints = Vec::new();
    for _ in 0..PEERS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        endpoints.push(Endpoint::from(listener.local_addr().unwrap()));
        let (asked, unseen) = (asked.clone(), unseen.clone());
        std::thread::spawn(move || answers_the_second_ping_unseen(&listener, &asked, &unseen));
    }
    let client = client(ClientOptions {
        ping_after: Duration::from_millis(200),
        pong_within: PONG_WITHIN,
        ..ClientOptions::default()
    });
    let request = LambdaRequest::new("lambda", "input");
    let asking = join_all(endpoints.iter().map(|to| ask(&client, to, &request)));
    let starving = async {
        for _ in 0..PEERS {
            pings.recv().await.unwrap();
        }
        // From here on nothing else happens on this core, until the time is over.
        let begun = Instant::now();
        unseen.wait();
        unseen.wait();
        while begun.elapsed() < 2 * PONG_WITHIN {
            std::thread::park_timeout(PONG_WITHIN);
        }
    };
    let (answers, ()) = tokio::join!(asking, starving);
    for answer in answers {
        let error = answer.expect_err("the peer leaves").to_string();
        assert!(!error.contains("PING"), "{error}");
    }
}
