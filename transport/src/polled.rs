//! Requests of one connection, answered on its own task: no task is made for any of them.
//!
//! A request is looked at as soon as it has arrived, and again whenever it was woken. Its place is
//! used again for others, with what was allocated for it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Free places that keep their memory.
const PLACES_KEPT: usize = 64;

/// The requests that are being answered.
#[derive(Debug)]
pub(crate) struct Polled<F: Future> {
    places: Vec<Place<F>>,
    free: Vec<u32>,
    ready: Arc<Ready>,
    turn: Vec<u32>,
    answers: Vec<(u32, Option<F::Output>)>,
}

#[derive(Debug)]
struct Place<F> {
    stream: u32,
    /// The request, if there is one; the box stays for the next.
    request: Option<Pin<Box<Option<F>>>>,
    signal: Arc<Signal>,
    waker: Waker,
}

/// Requests that have been woken.
#[derive(Debug, Default)]
struct Ready {
    numbers: Mutex<Vec<u32>>,
    driver: AtomicWaker,
}

/// Wakes one request.
#[derive(Debug)]
struct Signal {
    number: u32,
    is_woken: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.ready.lock().push(self.number);
            self.ready.driver.wake();
        }
    }
}

impl Ready {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future> Polled<F> {
    pub(crate) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            ready: Arc::default(),
            turn: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Lets the task of `cx` be woken when a request was.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        self.ready.driver.register(cx.waker());
    }

    /// How many requests are being answered.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// A number for a request that is about to [begin](Self::begin), or to be [let go](Self::release).
    pub(crate) fn reserve(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| self.add_place())
    }

    /// Gives a number back that is not needed.
    pub(crate) fn release(&mut self, number: u32) {
        self.free.push(number);
    }

    /// Begins to answer the request of `stream`, which `request` makes, under a number that was reserved
    /// for it. It has some kilobytes, which are moved once.
    #[inline]
    pub(crate) fn begin(&mut self, number: u32, stream: u32, request: impl FnOnce() -> F) {
        let place = &mut self.places[number as usize];
        place.stream = stream;
        let room = place.request.get_or_insert_with(|| Box::pin(None));
        room.set(Some(request()));
        self.look(number);
    }

    /// Looks at a request that has not been woken, if there is one under this number.
    pub(crate) fn again(&mut self, number: u32) {
        self.look(number);
    }

    /// Looks at the requests that have been woken.
    pub(crate) fn poll(&mut self) {
        let mut turn = std::mem::take(&mut self.turn);
        std::mem::swap(&mut turn, &mut self.ready.lock());
        for number in turn.drain(..) {
            self.look(number);
        }
        self.turn = turn;
    }

    /// Streams and their answers, to be taken from here; none where the request panicked.
    pub(crate) fn answers(&mut self) -> &mut Vec<(u32, Option<F::Output>)> {
        &mut self.answers
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn drop(&mut self, number: u32) {
        self.leave(number);
    }

    fn look(&mut self, number: u32) {
        let place = &mut self.places[number as usize];
        place.signal.is_woken.store(false, Ordering::Release);
        let Some(request) = place
            .request
            .as_mut()
            .and_then(|room| room.as_mut().as_pin_mut())
        else {
            return;
        };
        let mut cx = Context::from_waker(&place.waker);
        let answer = match catch_unwind(AssertUnwindSafe(|| request.poll(&mut cx))) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(answer)) => Some(answer),
            Err(_) => {
                tracing::error!("a request was given up, because what answers it panicked");
                None
            }
        };
        self.answers.push((place.stream, answer));
        self.leave(number);
    }

    fn leave(&mut self, number: u32) {
        let Some(place) = self.places.get_mut(number as usize) else {
            return;
        };
        if let Some(room) = &mut place.request
            && room.is_some()
        {
            room.set(None);
            if self.free.len() >= PLACES_KEPT {
                place.request = None;
            }
            self.free.push(number);
        }
    }

    fn add_place(&mut self) -> u32 {
        // As many as there are streams, whose numbers have 32 bits.
        let number = self.places.len() as u32;
        let signal = Arc::new(Signal {
            number,
            is_woken: AtomicBool::new(false),
            ready: self.ready.clone(),
        });
        self.places.push(Place {
            stream: 0,
            request: None,
            waker: signal.clone().into(),
            signal,
        });
        number
    }
}
