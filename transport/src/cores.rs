//! One single-threaded runtime per core: connections stay where they land.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// One core: the place of a connection and of all that happens on it.
#[derive(Debug, Clone)]
pub struct Core {
    index: usize,
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// The threads of a data plane. Dropping them stops them without waiting;
/// [`Cores::join`] waits.
#[derive(Debug)]
pub struct Cores {
    cores: Vec<Core>,
    threads: Mutex<Vec<Thread>>,
}

#[derive(Debug)]
struct Thread {
    stop: oneshot::Sender<()>,
    handle: JoinHandle<()>,
}

impl Core {
    /// Position among the cores, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Runs `task` on this core.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.spawn(task)
    }

    /// The core of the runtime that this is called in, for programs that have
    /// one runtime only.
    ///
    /// # Panics
    /// If called outside a runtime.
    pub fn current() -> Self {
        Self {
            index: 0,
            runtime: Handle::current(),
            connections: Arc::default(),
        }
    }

    /// Does what the first TLS handshake on this core would do, so that the requests of others need
    /// not wait for it. What is spawned afterwards runs afterwards.
    pub(crate) fn prepare_for_tls(&self) -> tokio::task::JoinHandle<()> {
        self.spawn(async { crate::tls::seed() })
    }

    /// What is made while the guard lives runs on this core.
    pub(crate) fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Counts a connection as long as the guard lives.
    pub(crate) fn connection(&self) -> ConnectionGuard {
        self.connections.fetch_add(1, Ordering::Relaxed);
        ConnectionGuard(self.connections.clone())
    }
}

/// Keeps a connection counted.
#[derive(Debug)]
pub(crate) struct ConnectionGuard(Arc<AtomicUsize>);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Cores {
    /// Starts `count` threads named after `name`, each with a runtime.
    ///
    /// # Errors
    /// If the system refuses a thread or a runtime.
    pub fn start(name: &str, count: NonZeroUsize) -> std::io::Result<Self> {
        let mut cores = Vec::with_capacity(count.get());
        let mut threads = Vec::with_capacity(count.get());
        for index in 0..count.get() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (stop, stopped) = oneshot::channel();
            cores.push(Core {
                index,
                runtime: runtime.handle().clone(),
                connections: Arc::default(),
            });
            let handle = std::thread::Builder::new()
                .name(format!("{name}-{index}"))
                .spawn(move || {
                    // Ends when the sender is used or dropped: both mean stop.
                    let _stop = runtime.block_on(stopped);
                    runtime.shutdown_timeout(Duration::from_millis(100));
                })?;
            threads.push(Thread { stop, handle });
        }
        Ok(Self {
            cores,
            threads: Mutex::new(threads),
        })
    }

    /// One core per processor of this machine that this process may use.
    pub fn available() -> NonZeroUsize {
        std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
    }

    /// All cores.
    pub fn all(&self) -> &[Core] {
        &self.cores
    }

    /// The core with the fewest connections.
    pub fn least_loaded(&self) -> &Core {
        self.cores
            .iter()
            .min_by_key(|core| core.connections.load(Ordering::Relaxed))
            .expect("there is at least one core")
    }

    /// Stops all threads and waits for them; what still runs there is dropped.
    pub async fn join(&self) {
        let threads = std::mem::take(
            &mut *self
                .threads
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        let wait = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A thread that has ended does not listen any more.
                let _ended = thread.stop.send(());
                if thread.handle.join().is_err() {
                    tracing::error!("a core's thread panicked");
                }
            }
        });
        if wait.await.is_err() {
            tracing::error!("could not wait for the cores' threads");
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::server::ResolvesServerCertUsingSni;
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tonic::service::Routes;

    use super::*;
    use crate::{ClientOptions, LambdaClient, Listener, Server, quic};

    fn two_cores() -> Arc<Cores> {
        let two = NonZeroUsize::new(2).expect("it is not 0");
        Arc::new(Cores::start("test", two).expect("threads"))
    }

    async fn prepared(core: &Core) -> bool {
        let asked = core.spawn(async { crate::tls::SEEDED.get() });
        asked.await.expect("the core runs")
    }

    fn client_config() -> Arc<ClientConfig> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        Arc::new(config)
    }

    fn server_config() -> Arc<ServerConfig> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        Arc::new(config)
    }

    #[tokio::test]
    async fn all_cores_of_a_server_with_tls_are_prepared_before_a_connection_comes() {
        for (config, expected) in [(None, false), (Some(server_config()), true)] {
            let cores = two_cores();
            let endpoint = "127.0.0.1:0".parse().expect("an end-point");
            let listener = Listener::bind(&endpoint).expect("a port");
            let server = Server::new(Routes::default()).with_tls(config);
            let server = server.serve(listener, &cores);
            for core in cores.all() {
                assert_eq!(prepared(core).await, expected);
            }
            server.kill().await;
            cores.join().await;
        }
    }

    #[tokio::test]
    async fn the_core_of_a_client_that_may_need_tls_is_prepared_and_no_other() {
        let (plain, tls) = (ClientOptions::default(), Some(client_config()));
        let secure = ClientOptions {
            tls: tls.clone(),
            ..plain.clone()
        };
        let quic = ClientOptions {
            quic: quic::Options {
                tls,
                ..quic::Options::default()
            },
            ..plain.clone()
        };
        for (options, expected) in [(plain, false), (secure, true), (quic, true)] {
            let cores = two_cores();
            let [core, other] = cores.all() else {
                panic!("two cores");
            };
            let _client = LambdaClient::new(core.clone(), Arc::new(options.clone()));
            assert_eq!(prepared(core).await, expected);
            assert!(!prepared(other).await);
            options.prepare(&cores).await;
            assert_eq!(prepared(other).await, expected);
            cores.join().await;
        }
    }
}
