//! Whether anybody serves QUIC somewhere, without being able to talk to them.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::Endpoint;
use crate::client::resolve;

/// A version that nobody speaks, so that servers say which they do (RFC 9000, section 15).
const NO_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];
/// The least that a server answers (RFC 9000, section 14.1).
const DATAGRAM: usize = 1200;
/// Datagrams that are sent, as each of them may be lost.
const TRIES: u32 = 3;
/// Bytes of a connection ID.
const ID: usize = 8;

/// Nobody has answered.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The name has no address, or the system refuses to send there.
    #[error("{0}")]
    Unreachable(String),
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    Silence(Duration),
}

/// Asks whoever serves QUIC at `endpoint` which versions it speaks, which takes no certificates and
/// leaves no trace there: the sign of life that an open port is over TCP. It shows more, as the
/// process answers, and not its kernel.
///
/// # Errors
/// If no answer comes `within` that time.
pub async fn probe(endpoint: &Endpoint, within: Duration) -> Result<(), NoAnswer> {
    let asking = async {
        let addresses = resolve(endpoint).await;
        let addresses = addresses.map_err(|error| NoAnswer::Unreachable(error.to_string()))?;
        let mut last = NoAnswer::Unreachable("the name has no address".to_owned());
        let share = within / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        for address in addresses {
            match ask(address, share).await {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    timeout(within, asking)
        .await
        .unwrap_or(Err(NoAnswer::Silence(within)))
}

async fn ask(address: SocketAddr, within: Duration) -> Result<(), NoAnswer> {
    let failed = |error: std::io::Error| NoAnswer::Unreachable(error.to_string());
    let any = match address {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    // Only its datagrams are seen then, and where there is no such port the system says so.
    socket.connect(address).await.map_err(failed)?;
    let (theirs, ours) = (random(), random());
    let question = question(theirs, ours);
    for _ in 0..TRIES {
        socket.send(&question).await.map_err(failed)?;
        let answered = async {
            let mut answer = [0; DATAGRAM];
            loop {
                let length = socket.recv(&mut answer).await.map_err(failed)?;
                if is_answer(&answer[..length], theirs, ours) {
                    return Ok(());
                }
            }
        };
        if let Ok(answered) = timeout(within / TRIES, answered).await {
            return answered;
        }
    }
    Err(NoAnswer::Silence(within))
}

/// Nobody else can answer who does not see the question.
fn random() -> [u8; ID] {
    RandomState::new().hash_one(0).to_be_bytes()
}

/// The first packet of a connection of a version that does not exist.
fn question(theirs: [u8; ID], ours: [u8; ID]) -> Vec<u8> {
    let mut question = vec![0xc0];
    question.extend(NO_VERSION);
    for id in [theirs, ours] {
        question.push(ID as u8);
        question.extend(id);
    }
    question.resize(DATAGRAM, 0);
    question
}

/// Whether this is a Version Negotiation packet that answers ours (RFC 9000, section 17.2.1).
fn is_answer(answer: &[u8], theirs: [u8; ID], ours: [u8; ID]) -> bool {
    let mut expected = vec![0, 0, 0, 0];
    for id in [ours, theirs] {
        expected.push(ID as u8);
        expected.extend(id);
    }
    answer
        .split_first()
        .is_some_and(|(first, rest)| first & 0x80 != 0 && rest.starts_with(&expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_to_the_question_count() {
        let (theirs, ours) = ([1; ID], [2; ID]);
        let mut answer = vec![0x80, 0, 0, 0, 0, 8];
        answer.extend(ours);
        answer.push(8);
        answer.extend(theirs);
        answer.extend([0, 0, 0, 1]);
        assert!(is_answer(&answer, theirs, ours));
        assert!(!is_answer(&answer, ours, theirs));
        assert!(!is_answer(&question(theirs, ours), theirs, ours));
        assert!((0..22).all(|length| !is_answer(&answer[..length], theirs, ours)));
        answer[0] = 0x40;
        assert!(!is_answer(&answer, theirs, ours));
    }
}
