//! A [`Connection`] on a socket: reads, writes and timers of one connection, in as few calls as it takes.

use std::cell::RefCell;
use std::future::Future as _;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::http2::{Connection, HEAD, MAX_PAYLOAD, no_slices};
use crate::io::Io;
use crate::tls;

/// Bytes that are read at once. All connections of a thread share the room: between two reads, a
/// connection keeps only the beginning of a frame.
const READ_ROOM: usize = 128 << 10;
/// Room that a connection keeps for the beginning of a frame.
const ROOM_KEPT: usize = 1 << 10;
/// How long a peer may take to read our last words.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Reads after which others get their turn.
const READS_PER_TURN: usize = 16;

thread_local! {
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection that its driver shares with those who use it. They are on the same thread almost
/// always, so the lock is free.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<Connection>);

impl Shared {
    pub(crate) fn new(connection: Connection) -> Arc<Self> {
        Arc::new(Self(Mutex::new(connection)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        // Whoever panics holding it leaves a connection that is at worst of no use to its peer.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the connection, and then wakes those for whom that meant news.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Connection) -> T) -> T {
        let mut woken = Vec::new();
        let result = {
            let mut connection = self.lock();
            let result = act(&mut connection);
            connection.take_woken(&mut woken);
            result
        };
        woken.into_iter().for_each(Waker::wake);
        result
    }
}

/// Moves the bytes of a connection.
#[derive(Debug)]
pub(crate) struct Pump {
    io: Io,
    shared: Arc<Shared>,
    /// The beginning of a frame.
    unread: Vec<u8>,
    timer: Pin<Box<Sleep>>,
    /// When the timer is due, if it runs.
    due: Option<Instant>,
    woken: Vec<Waker>,
    /// Runs when the connection is over.
    last_words: Option<Pin<Box<Sleep>>>,
    is_closing: bool,
}

impl Pump {
    pub(crate) fn new(io: Io, shared: Arc<Shared>) -> Self {
        Self {
            io,
            shared,
            unread: Vec::new(),
            timer: Box::pin(tokio::time::sleep_until(Instant::now().into())),
            due: None,
            woken: Vec::new(),
            last_words: None,
            is_closing: false,
        }
    }

    /// Reads what there is, and lets the connection know. Ready when the connection is over and
    /// closed, and nothing is left to be done.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let shared = self.shared.clone();
        let mut connection = shared.lock();
        connection.set_driver(cx);
        let is_done = ROOM.with_borrow_mut(|room| {
            room.resize(READ_ROOM, 0);
            self.read_into(room, &mut connection, cx)
        });
        connection.take_woken(&mut self.woken);
        drop(connection);
        self.woken.drain(..).for_each(Waker::wake);
        is_done
    }

    /// Whether the connection has ended.
    fn read_into(
        &mut self,
        room: &mut [u8],
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> bool {
        let mut now = None;
        for _ in 0..READS_PER_TURN {
            if connection.ended().is_some() {
                return true;
            }
            let begun = self.unread.len();
            room[..begun].copy_from_slice(&self.unread);
            let mut free = ReadBuf::new(&mut room[begun..]);
            match Pin::new(&mut self.io).poll_read(cx, &mut free) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) if free.filled().is_empty() => {
                    connection.end("connection closed".to_owned());
                }
                Poll::Ready(Ok(())) => {
                    let end = begun + free.filled().len();
                    let now = *now.get_or_insert_with(Instant::now);
                    let used = connection.receive(&room[..end], now);
                    self.unread.clear();
                    if used == end && self.unread.capacity() > ROOM_KEPT {
                        self.unread = Vec::new();
                    }
                    debug_assert!(
                        end - used <= MAX_PAYLOAD + HEAD,
                        "a frame is not that large"
                    );
                    self.unread.extend_from_slice(&room[used..end]);
                }
                Poll::Ready(Err(error)) => connection.lost(&error, tls::is_cause(&error)),
            }
        }
        cx.waker().wake_by_ref();
        connection.ended().is_some()
    }

    /// Writes what there is, minds the time, and closes what is over. Ready when it is closed.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_closing {
            return self.poll_close(cx);
        }
        let shared = self.shared.clone();
        let mut connection = shared.lock();
        if connection.next_deadline().is_some() {
            self.mind_the_time(&mut connection, cx);
        }
        connection.part_if_idle();
        connection.release_along();
        let written = self.write_from(&mut connection, cx);
        if let Poll::Ready(Err(error)) = &written {
            connection.lost(error, tls::is_cause(error));
        }
        let is_over = connection.is_over() && (written.is_ready() || self.is_unheard(cx));
        if is_over {
            connection.end("connection closed".to_owned());
        }
        connection.take_woken(&mut self.woken);
        drop(connection);
        self.woken.drain(..).for_each(Waker::wake);
        if is_over {
            self.is_closing = true;
            return self.poll_close(cx);
        }
        Poll::Pending
    }

    fn write_from(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !connection.output().is_empty() {
            let io = Pin::new(&mut self.io);
            let written = match connection.output().only_piece() {
                Some(bytes) => io.poll_write(cx, bytes),
                None => {
                    let mut slices = no_slices();
                    let count = connection.output().slices(&mut slices);
                    io.poll_write_vectored(cx, &slices[..count])
                }
            };
            match ready!(written) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(count) => connection.wrote(count),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.io.needs_flush() {
            return Pin::new(&mut self.io).poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn mind_the_time(&mut self, connection: &mut Connection, cx: &mut Context<'_>) {
        while let Some(next) = connection.next_deadline() {
            if self.due != Some(next) {
                self.timer.as_mut().reset(next.into());
                self.due = Some(next);
                if self.timer.as_mut().poll(cx).is_pending() {
                    return;
                }
            } else if !self.timer.is_elapsed() {
                return;
            }
            self.due = None;
            connection.expire(Instant::now().max(next));
        }
    }

    /// Whether the peer has had time to read our last words, and has not.
    fn is_unheard(&mut self, cx: &mut Context<'_>) -> bool {
        let last_words = self
            .last_words
            .get_or_insert_with(|| Box::pin(sleep(LAST_WORDS)));
        last_words.as_mut().poll(cx).is_ready()
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_unheard(cx) {
            return Poll::Ready(());
        }
        // Nobody can be told if it fails.
        ready!(Pin::new(&mut self.io).poll_shutdown(cx)).ok();
        Poll::Ready(())
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.shared
            .with(|connection| connection.end("connection closed".to_owned()));
    }
}
