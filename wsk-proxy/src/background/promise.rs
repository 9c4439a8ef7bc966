//! A promise on its way to the disk. A client that hangs up takes the call that waits for it along,
//! but not what the disk has: what is written is kept, and what was refused is taken back.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::journal::{Accepted, Journal, Line};

/// The pause after a withdrawal that the disk did not take.
const PAUSE: Duration = Duration::from_secs(1);

/// An invocation that is about to be accepted.
pub(super) struct Promise<P> {
    pub(super) journal: Journal,
    pub(super) accepted: Accepted,
    /// Its place in the queue.
    pub(super) place: P,
    pub(super) stopping: CancellationToken,
}

/// There is no promise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotMade;

impl<P: Send + 'static> Promise<P> {
    /// Writes it down in a task of its own, and then calls `kept`, whether or not somebody waits.
    ///
    /// # Errors
    /// If it cannot be written down in time.
    pub(super) fn made<K: FnOnce(P) + Send + 'static>(
        self,
        tasks: &TaskTracker,
        kept: K,
    ) -> impl Future<Output = Result<(), NotMade>> + use<P, K> {
        let (tell, told) = oneshot::channel();
        tasks.spawn(async move {
            let id = self.accepted.id;
            let written = self.journal.write(&Line::Accepted(self.accepted)).await;
            if written.is_ok() {
                kept(self.place);
                // The client may have left.
                let _gone = tell.send(());
                return;
            }
            drop((tell, kept));
            // It may be on the disk, or get there, though its client hears that there is none. It
            // keeps its place, so that a broken disk is not owed more and more lines.
            while self.journal.write(&Line::Void(id)).await.is_err() {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = self.stopping.cancelled() => {
                        tracing::error!(%id, "what was refused may be run after a restart");
                        return;
                    }
                }
            }
        });
        async move { told.await.map_err(|_| NotMade) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::ActivationId;
    use crate::journal::Disk;
    use crate::names::ActionName;

    fn promise() -> (Promise<&'static str>, Disk) {
        let (journal, disk) = Journal::of_a_test();
        let accepted = Accepted {
            id: ActivationId::random(),
            action: ActionName::parse("/a/f", "").unwrap(),
            written_out: false,
            parameters: "{}".to_owned(),
            hops: 0,
            at_ms: 1,
        };
        let promise = Promise {
            journal,
            accepted,
            place: "place",
            stopping: CancellationToken::new(),
        };
        (promise, disk)
    }

    #[tokio::test]
    async fn a_promise_is_kept_though_its_client_hangs_up_before_it_is_written() {
        let (promise, mut disk) = promise();
        let (kept, is_kept) = oneshot::channel();
        let waiting = promise.made(&TaskTracker::new(), |place| kept.send(place).unwrap());
        let (line, written) = disk.next().await;
        assert!(line.contains("accepted"), "{line}");
        drop(waiting);
        written.send(()).unwrap();
        assert_eq!(is_kept.await, Ok("place"));
    }

    #[tokio::test]
    async fn what_was_refused_is_taken_back_until_the_disk_has_it() {
        let (promise, mut disk) = promise();
        let tasks = TaskTracker::new();
        let id = promise.accepted.id.to_string();
        let waiting = promise.made(&tasks, |_| panic!("it was refused"));
        let (_, failed) = disk.next().await;
        drop(failed);
        assert_eq!(waiting.await, Err(NotMade));
        let (line, failed) = disk.next().await;
        assert!(line.contains("void") && line.contains(&id), "{line}");
        drop(failed);
        let (again, written) = disk.next().await;
        assert_eq!(again, line);
        written.send(()).unwrap();
        tasks.close();
        tasks.wait().await;
    }
}
