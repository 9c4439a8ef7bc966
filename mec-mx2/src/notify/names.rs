//! Names of receivers, as the system resolves them.
//!
//! It does so on a thread that it holds for as long as it likes, which may be half a minute, whatever the
//! time-out of the attempt. So a look-up keeps its place until it is over, not until nobody waits for it any
//! more, and each kind of receiver has places of its own: names that are never resolved only wait for each
//! other, and there are never more threads than places.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Places for look-ups, for each kind of receiver.
#[derive(Debug)]
pub(super) struct Names<const KINDS: usize>([Arc<Semaphore>; KINDS]);

impl<const KINDS: usize> Names<KINDS> {
    /// With so many places for each kind.
    pub(super) fn new(places: [usize; KINDS]) -> Self {
        Self(places.map(|places| Arc::new(Semaphore::new(places))))
    }

    /// Where `name` is, for a receiver of this kind. May wait for a place, and for the system, for any time.
    pub(super) async fn resolve(
        &self,
        kind: usize,
        name: &str,
        port: u16,
    ) -> io::Result<Vec<SocketAddr>> {
        let name = name.to_owned();
        self.look_up(kind, move || {
            Ok((name.as_str(), port).to_socket_addrs()?.collect())
        })
        .await
    }

    async fn look_up<T: Send + 'static>(
        &self,
        kind: usize,
        by: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let place = self.0[kind.min(KINDS - 1)].clone().acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let looking = tokio::task::spawn_blocking(move || {
            let _until_it_is_over = place;
            by()
        });
        looking.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;

    use futures_util::future::poll_immediate;

    use super::*;

    #[tokio::test]
    async fn a_look_up_keeps_its_place_though_nobody_waits_for_it_and_only_from_its_kind() {
        let names = Names::new([1, 1]);
        let (end, ended) = mpsc::sync_channel::<()>(1);
        let hangs = move || ended.recv().map_err(io::Error::other);
        let given_up = poll_immediate(names.look_up(1, hangs)).await;
        assert!(given_up.is_none(), "it takes its time");
        let mut next = pin!(names.look_up(1, || Ok(2)));
        assert!(
            poll_immediate(&mut next).await.is_none(),
            "there is no place"
        );
        assert_eq!(names.look_up(0, || Ok(1)).await.unwrap(), 1);
        assert!(
            poll_immediate(&mut next).await.is_none(),
            "there is none yet"
        );
        end.send(()).unwrap();
        assert_eq!(next.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn the_names_of_this_machine_are_resolved() {
        let found = Names::new([1]).resolve(0, "localhost", 80).await.unwrap();
        let is_here = |at: &SocketAddr| at.ip().is_loopback() && at.port() == 80;
        assert!(!found.is_empty() && found.iter().all(is_here), "{found:?}");
    }
}
