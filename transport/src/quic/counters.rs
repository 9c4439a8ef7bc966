//! What happened on QUIC connections that an operator wants to know of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts of one server or client, from 0, for as long as it lives.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    early_offered: AtomicU64,
    early_accepted: AtomicU64,
    early_rejected: AtomicU64,
    early_postponed: AtomicU64,
    tickets_refused: AtomicU64,
    retries: AtomicU64,
    refused: AtomicU64,
    no_handshake: AtomicU64,
    migrations: AtomicU64,
    shaking: AtomicUsize,
    most_shaking: AtomicUsize,
}

/// A count as operators get to see it: its name, what is counted, how many so far.
pub type Count = (&'static str, &'static str, u64);

macro_rules! counts {
    ($($(#[$doc:meta])* $field:ident, $count:ident;)*) => {
        impl Counters {
            $(
                $(#[$doc])*
                pub fn $field(&self) -> u64 {
                    self.$field.load(Ordering::Relaxed)
                }

                pub(crate) fn $count(&self) {
                    self.$field.fetch_add(1, Ordering::Relaxed);
                }
            )*
        }
    };
}

counts! {
    /// Handshakes that were completed.
    connections, count_connection;
    /// Of a client: connections begun with a ticket of an earlier one, so that requests could leave
    /// with the first packet. Of a server: requests that came before the handshake was complete.
    early_offered, count_early_offered;
    /// Of a client: connections of those on which the server took early requests. Of a server: early
    /// requests that were begun at once, as they may be repeated.
    early_accepted, count_early_accepted;
    /// Of a client: connections of those on which the server did not take early requests.
    early_rejected, count_early_rejected;
    /// Of a server: early requests that had to wait for the handshake, as they may not be repeated.
    early_postponed, count_early_postponed;
    /// Of a server: tickets of clients that had been used before, as in replays, that are too old, or that
    /// it does not know, as after a restart. What came early with them is not read.
    tickets_refused, count_ticket_refused;
    /// Clients that had to prove their address, because many handshakes were under way.
    retries, count_retry;
    /// Connections refused or ignored, because there were too many.
    refused, count_refused;
    /// Handshakes that failed, or that whoever waited for them gave up.
    no_handshake, count_no_handshake;
    /// Of a server: changes of the address of a client, seen at its next request.
    migrations, count_migration;
}

impl Counters {
    /// Handshakes of clients that are under way.
    pub fn shaking(&self) -> usize {
        self.shaking.load(Ordering::Relaxed)
    }

    /// The most handshakes of clients that were under way at the same time.
    pub fn most_shaking(&self) -> usize {
        self.most_shaking.load(Ordering::Relaxed)
    }

    /// What a server has counted.
    pub fn of_server(&self) -> [Count; 9] {
        [
            (
                "edge_quic_server_connections",
                "QUIC connections of clients whose handshake was completed",
                self.connections(),
            ),
            (
                "edge_quic_server_handshakes_failed",
                "QUIC handshakes of clients that failed",
                self.no_handshake(),
            ),
            (
                "edge_quic_server_retries",
                "QUIC clients that had to prove their address, as many handshakes were under way",
                self.retries(),
            ),
            (
                "edge_quic_server_refused",
                "QUIC connections refused or ignored, as there were too many",
                self.refused(),
            ),
            (
                "edge_quic_server_early_requests",
                "Requests that came before the handshake was complete (0-RTT)",
                self.early_offered(),
            ),
            (
                "edge_quic_server_early_accepted",
                "Early requests that were begun at once, as they may be repeated",
                self.early_accepted(),
            ),
            (
                "edge_quic_server_early_postponed",
                "Early requests that had to wait for the handshake, as they may not be repeated",
                self.early_postponed(),
            ),
            (
                "edge_quic_server_tickets_refused",
                "Tickets that had been used before (replays) or are unknown (after a restart)",
                self.tickets_refused(),
            ),
            (
                "edge_quic_server_migrations",
                "Changes of the address of a client, seen at its next request",
                self.migrations(),
            ),
        ]
    }

    /// What a client has counted.
    pub fn of_client(&self) -> [Count; 5] {
        [
            (
                "edge_quic_client_connections",
                "QUIC connections to destinations whose handshake was completed",
                self.connections(),
            ),
            (
                "edge_quic_client_handshakes_failed",
                "QUIC handshakes with destinations that failed or were given up",
                self.no_handshake(),
            ),
            (
                "edge_quic_client_early",
                "QUIC connections to known destinations on which requests could leave at once (0-RTT)",
                self.early_offered(),
            ),
            (
                "edge_quic_client_early_accepted",
                "Connections of those on which the destination took early requests",
                self.early_accepted(),
            ),
            (
                "edge_quic_client_early_rejected",
                "Connections of those on which the destination did not take early requests",
                self.early_rejected(),
            ),
        ]
    }
}

/// A handshake of a client that is under way.
#[derive(Debug)]
pub(super) struct Shaking(Arc<Counters>);

impl Shaking {
    pub(super) fn begin(counters: &Arc<Counters>) -> Self {
        let others = counters.shaking.fetch_add(1, Ordering::Relaxed);
        counters
            .most_shaking
            .fetch_max(others + 1, Ordering::Relaxed);
        Self(counters.clone())
    }
}

impl Drop for Shaking {
    fn drop(&mut self) {
        self.0.shaking.fetch_sub(1, Ordering::Relaxed);
    }
}
