//! One UDP socket, many cores: accepts connections, and turns away what is too much.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Incoming, ServerConfig};
use tokio::time::timeout;

use super::counters::Shaking;
use super::tickets::Tickets;
use super::{ALPN_H3, ALPN_NATIVE, Congestion, Counters, code, http3, native, places, transport};
use crate::server::Shared;
use crate::{Core, Cores, LambdaService, Limits};

/// Handshakes under way beyond which a client has to prove that it receives at its address.
const UNPROVEN: usize = 100;
/// Handshakes under way beyond which nobody is listened to.
const HANDSHAKES: usize = 1000;
/// Bytes of one connection that are kept before it is accepted, and of all of them.
const WAITING: (u64, u64) = (64 << 10, 4 << 20);
/// How long the last words of a server may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Our side of all connections, from what TLS over TCP would be configured with.
fn config(
    tls: &rustls::ServerConfig,
    limits: &Limits,
    congestion: Congestion,
    counters: &Arc<Counters>,
) -> ServerConfig {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![ALPN_NATIVE.to_vec(), ALPN_H3.to_vec()];
    tls.max_early_data_size = u32::MAX;
    tls.session_storage = Arc::new(Tickets::new(counters.clone()));
    let tls = QuicServerConfig::try_from(tls).expect("our configurations allow TLS 1.3");
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut transport = transport(limits, congestion);
    transport.max_concurrent_bidi_streams(places::first(limits.max_concurrent_streams));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(HANDSHAKES)
        .incoming_buffer_size(WAITING.0)
        .incoming_buffer_size_total(WAITING.1);
    config
}

/// Accepts connections and hands each to the least loaded core.
pub(crate) async fn accept<S: LambdaService>(
    socket: UdpSocket,
    tls: Arc<rustls::ServerConfig>,
    congestion: Congestion,
    shared: Arc<Shared<S>>,
    cores: Arc<Cores>,
) {
    let counters = &shared.server.quic_counters;
    let config = config(&tls, &shared.server.limits, congestion, counters);
    let made = quinn::Endpoint::new(
        super::endpoint(),
        Some(config),
        socket,
        Arc::new(super::runtime::Runtime),
    );
    let endpoint = match made {
        Ok(endpoint) => endpoint,
        Err(error) => {
            tracing::error!(%error, "could not listen for QUIC");
            return;
        }
    };
    loop {
        let incoming = tokio::select! {
            biased;
            () = shared.drain.cancelled() => break,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { break };
        if let Some(incoming) = admitted(incoming, &shared) {
            hand_over(
                incoming,
                &shared,
                cores.least_loaded(),
                Shaking::begin(counters),
            );
        }
    }
    // Who comes now is told to go elsewhere, for as long as others are still being answered.
    loop {
        tokio::select! {
            biased;
            () = shared.kill.cancelled() => break,
            () = shared.only_accepting() => break,
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => incoming.refuse(),
                None => break,
            },
        }
    }
    // Closing takes a packet from each connection, by drivers that are not ours to wait for.
    let _left = timeout(LAST_WORDS, endpoint.wait_idle()).await;
}

/// The connection, unless there are too many.
fn admitted<S>(incoming: Incoming, shared: &Shared<S>) -> Option<Incoming> {
    let counters = &shared.server.quic_counters;
    let shaking = counters.shaking();
    let is_proven = incoming.remote_address_validated();
    if shaking >= HANDSHAKES {
        counters.count_refused();
        incoming.ignore();
        return None;
    }
    if shaking >= UNPROVEN && !is_proven {
        counters.count_retry();
        // It fails only where the address is proven.
        incoming.retry().ok();
        return None;
    }
    if shared.connections() >= shared.server.limits.max_connections {
        counters.count_refused();
        let peer = incoming.remote_address();
        if let Some(others) = shared.refused.due(Instant::now()) {
            tracing::warn!(%peer, others, "connection refused: too many connections");
        }
        incoming.refuse();
        return None;
    }
    Some(incoming)
}

fn hand_over<S: LambdaService>(
    incoming: Incoming,
    shared: &Arc<Shared<S>>,
    core: &Core,
    shaking: Shaking,
) {
    let guard = core.connection();
    let tracked = shared.tasks.token();
    let shared = shared.clone();
    let own = core.clone();
    core.spawn(async move {
        let _guards = (guard, tracked);
        serve(incoming, &shared, &own, shaking).await;
    });
}

/// Serves one connection by the protocol that its peer asks for.
async fn serve<S: LambdaService>(
    incoming: Incoming,
    shared: &Arc<Shared<S>>,
    core: &Core,
    shaking: Shaking,
) {
    let peer = incoming.remote_address();
    let limits = &shared.server.limits;
    let counters = &shared.server.quic_counters;
    let fails = |error: &dyn std::fmt::Display| {
        counters.count_no_handshake();
        if let Some(others) = shared.no_handshake.due(Instant::now()) {
            tracing::warn!(%peer, %error, others, "QUIC handshake failed");
        }
    };
    // Begins here, so that its driver runs on this core.
    let mut connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(error) => return fails(&error),
    };
    let alpn = timeout(limits.handshake_timeout, connecting.handshake_data());
    let alpn = tokio::select! {
        biased;
        () = shared.kill.cancelled() => return,
        alpn = alpn => match alpn {
            Ok(Ok(data)) => data.downcast::<HandshakeData>().ok().and_then(|data| data.protocol),
            Ok(Err(error)) => return fails(&error),
            Err(_) => return fails(&"it took too long"),
        },
    };
    // A server always may.
    let Ok((connection, complete)) = connecting.into_0rtt() else {
        return;
    };
    let is_native = alpn.as_deref() == Some(ALPN_NATIVE);
    let fault = match is_native {
        true => code::FAULT,
        false => http3::INTERNAL_ERROR,
    };
    let established = async {
        let complete = timeout(limits.handshake_timeout, complete).await.is_ok();
        drop(shaking);
        match connection.close_reason() {
            None if complete => {
                counters.count_connection();
                true
            }
            Some(error) => {
                fails(&error);
                false
            }
            None => {
                fails(&"it took too long");
                connection.close(fault, b"the handshake took too long");
                false
            }
        }
    };
    let serving = async {
        match is_native {
            true => native::serve(&connection, established, peer, shared, core).await,
            // No other is offered.
            false => http3::serve(&connection, established, peer, shared, core).await,
        }
    };
    tokio::select! {
        biased;
        () = shared.kill.cancelled() => connection.close(fault, b"the server has ended"),
        () = serving => {}
    }
}
