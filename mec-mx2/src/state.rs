//! The running state: the book, its journal, those who watch it, and those who deliver.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::broadcast;

use crate::book::{
    Ages, Book, Bounds, Caller, ContextId, ContextView, Event, Job, Outcome, Place, Route,
    RouteError, Settled,
};
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::model::{
    AppFilter, AppInfo, AvailabilityRequest, ContextRequest, Fault, Problem, Profile, app_list,
};
use crate::notify::Notifier;

/// Events that a watcher may be behind.
const WATCH_BEHIND: usize = 32_768;
/// How long a creation waits for the disk.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// The state of a running server, which its interfaces share. Clones are the same.
///
/// Whoever embeds a server manages it through this: applications, routes, places.
#[derive(Debug, Clone)]
pub struct Mx2(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    book: Mutex<Book>,
    journal: Mutex<Option<Arc<Journal>>>,
    events: broadcast::Sender<Event>,
    notifier: Notifier,
    clock: Clock,
    metrics: Metrics,
    /// For references that have none.
    scheme: String,
}

/// Milliseconds since 1970 that never go back while the process runs.
#[derive(Debug)]
struct Clock {
    at_start_ms: u64,
    start: Instant,
}

impl Clock {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            at_start_ms: since.map_or(0, millis),
            start: Instant::now(),
        }
    }

    fn now_ms(&self) -> u64 {
        self.at_start_ms + millis(self.start.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn behind() -> Problem {
    Problem::overloaded("contexts cannot be written down fast enough", 5)
}

/// A new context whose creator does not know it yet. Dropped before it is written down,
/// it never was; dropped later, what happened to it in the meantime may be told.
#[derive(Debug)]
pub(crate) struct Held {
    state: Mx2,
    id: ContextId,
    written: bool,
}

impl Held {
    pub(crate) fn id(&self) -> ContextId {
        self.id
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.state.change(|book, _| {
            if !self.written {
                book.forget(self.id);
            }
            book.release(self.id);
        });
    }
}

impl Mx2 {
    pub(crate) fn open(
        bounds: Bounds,
        folder: Option<&Path>,
        sync: bool,
        scheme: String,
        notifier: Notifier,
        metrics: Metrics,
    ) -> Result<Self, JournalError> {
        let clock = Clock::new();
        let (journal, book) = match folder {
            Some(folder) => {
                let (journal, book) = Journal::open(folder, sync, bounds, clock.now_ms())?;
                (Some(Arc::new(journal)), book)
            }
            None => (None, Book::new(bounds)),
        };
        Ok(Self(Arc::new(Shared {
            book: Mutex::new(book),
            journal: Mutex::new(journal),
            events: broadcast::Sender::new(WATCH_BEHIND),
            notifier,
            clock,
            metrics,
            scheme,
        })))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // What panicked left a change half done, at the worst; everything else is right.
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal_slot(&self) -> MutexGuard<'_, Option<Arc<Journal>>> {
        let journal = self.0.journal.lock();
        journal.unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> Option<Arc<Journal>> {
        self.journal_slot().clone()
    }

    /// Makes a change and sees to what follows. Returns its number in the journal, 0 if it
    /// was not written down.
    fn change<T>(&self, change: impl FnOnce(&mut Book, u64) -> T) -> (T, u64) {
        let now_ms = self.0.clock.now_ms();
        let mut book = self.book();
        let result = change(&mut book, now_ms);
        let effects = book.take_effects();
        let number = if effects.records.is_empty() {
            0
        } else {
            let journal = self.journal_slot();
            journal
                .as_ref()
                .map_or(0, |journal| journal.append(&effects.records))
        };
        if self.0.events.receiver_count() > 0 {
            for event in effects.events {
                // Nobody watches any more: nobody misses it.
                let _ = self.0.events.send(event);
            }
        }
        drop(book);
        for id in effects.wake {
            self.0.notifier.deliver(self, id);
        }
        (result, number)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.0.notifier
    }

    pub(crate) fn scheme(&self) -> &str {
        &self.0.scheme
    }

    /// Writes what waits and lets go of the folder.
    pub(crate) fn close(&self) {
        self.begin_anew_if_due();
        let journal = self.journal_slot().take();
        drop(journal);
    }

    /// Adds or replaces an application. Returns whether it is new.
    ///
    /// # Errors
    /// If there are too many.
    pub fn add_app(&self, app: AppInfo) -> Result<bool, Problem> {
        self.change(|book, _| book.add_app(app)).0
    }

    /// Takes an application out of the list. Its contexts stay. Returns whether it was there.
    pub fn remove_app(&self, name: &str, provider: &str, version: &str) -> bool {
        self.change(|book, _| book.remove_app(name, provider, version))
            .0
    }

    /// All applications, each with the round trip in milliseconds that was measured.
    pub fn apps(&self) -> Vec<(AppInfo, u32)> {
        let all = AppFilter::default();
        let book = self.book();
        book.apps(&all)
            .map(|(app, latency)| (app.clone(), latency))
            .collect()
    }

    /// Says what round trip the brokers measure, in milliseconds; 0: unknown.
    pub fn set_latency(&self, app: &str, latency_ms: u32) {
        self.change(|book, _| book.set_latency(app, latency_ms));
    }

    /// Says that `client` (see [`Route::client`]) reaches `app` at `server`.
    ///
    /// # Errors
    /// If a name is empty or makes no sense, or there are too many routes.
    pub fn associate(&self, client: &str, app: &str, server: &str) -> Result<(), RouteError> {
        self.change(|book, now| book.associate(client, app, server, now))
            .0
    }

    /// Takes a route away. Returns whether it was there.
    pub fn dissociate(&self, client: &str, app: &str) -> bool {
        self.change(|book, now| book.dissociate(client, app, now)).0
    }

    /// All routes, by application and client.
    pub fn routes(&self) -> Vec<Route> {
        self.book().routes().all().collect()
    }

    /// Says where a computer is.
    ///
    /// # Errors
    /// If there are too many.
    pub fn set_place(&self, place: Place) -> Result<(), Problem> {
        self.change(|book, now| book.set_place(place, now)).0
    }

    /// Forgets where a computer is.
    pub fn remove_place(&self, endpoint: &str) -> bool {
        self.change(|book, now| book.remove_place(endpoint, now)).0
    }

    /// All contexts, in no order.
    pub fn contexts(&self) -> Vec<ContextView> {
        self.book().contexts().collect()
    }

    /// How many contexts there are.
    pub fn num_contexts(&self) -> usize {
        self.book().num_contexts()
    }

    /// All contexts, and whatever happens to them from then on.
    pub fn watch(&self) -> (Vec<ContextView>, broadcast::Receiver<Event>) {
        let book = self.book();
        (book.contexts().collect(), self.0.events.subscribe())
    }

    /// Deletes a context and tells its device application. Returns whether there was one.
    pub fn withdraw(&self, id: &str) -> bool {
        ContextId::parse(id).is_some_and(|id| self.change(|book, _| book.withdraw(id)).0)
    }

    pub(crate) fn list(&self, profile: Profile, filter: &AppFilter) -> Value {
        app_list(profile, self.book().apps(filter))
    }

    pub(crate) fn availability(&self, request: &AvailabilityRequest) -> Value {
        let book = self.book();
        let filter = AppFilter::default();
        let known = book.apps(&filter).any(|(app, _)| {
            let version = request.soft_version.as_ref();
            app.name == request.name
                && app.provider == request.provider
                && version.is_none_or(|version| *version == app.soft_version)
        });
        let places = if known {
            book.available(&request.name)
        } else {
            Vec::new()
        };
        request.answer(&places)
    }

    /// Creates a context, which is written down when this returns. What happens to it is
    /// not told before the [`Held`] is dropped.
    pub(crate) async fn create(
        &self,
        request: ContextRequest,
        caller: Caller,
        charge: usize,
    ) -> Result<(Held, Value), Problem> {
        let journal = self.writable()?;
        let (created, number) =
            self.change(|book, now| book.create(request, caller, charge, &self.0.scheme, now));
        let (id, answer) = created?;
        let mut held = Held {
            state: self.clone(),
            id,
            written: false,
        };
        if let Some(journal) = journal
            && !journal.written(number, WRITE_PATIENCE).await
        {
            return Err(behind());
        }
        held.written = true;
        Ok((held, answer))
    }

    pub(crate) fn has(&self, id: ContextId, caller: &Caller) -> bool {
        self.book().has(id, caller)
    }

    pub(crate) fn of_device_app(&self, device_app: &str, caller: &Caller) -> Option<ContextId> {
        self.book().of_device_app(device_app, caller)
    }

    /// What `request` would change of a context and cannot.
    pub(crate) fn unchangeable(
        &self,
        id: ContextId,
        request: &ContextRequest,
        caller: &Caller,
    ) -> Result<Vec<Fault>, Problem> {
        self.book().unchangeable(id, request, caller)
    }

    pub(crate) async fn update(
        &self,
        id: ContextId,
        request: ContextRequest,
        caller: &Caller,
        charge: usize,
    ) -> Result<(), Problem> {
        self.writable()?;
        let update = request.into_update();
        let (done, number) = self.change(|book, now| book.update(id, update, caller, charge, now));
        done?;
        self.written(number).await
    }

    pub(crate) async fn delete(&self, id: ContextId, caller: &Caller) -> Result<(), Problem> {
        let (done, number) = self.change(|book, _| book.delete(id, caller));
        done?;
        self.written(number).await
    }

    /// The journal, if it is not behind.
    fn writable(&self) -> Result<Option<Arc<Journal>>, Problem> {
        let journal = self.journal();
        match journal {
            Some(journal) if journal.is_behind() => Err(behind()),
            journal => Ok(journal),
        }
    }

    /// Writes everything down if changes are missing.
    fn begin_anew_if_due(&self) {
        let book = self.book();
        let journal = self.journal_slot();
        if let Some(journal) = journal.as_ref()
            && journal.is_incomplete()
        {
            journal.begin_anew(&book.snapshot());
        }
    }

    async fn written(&self, number: u64) -> Result<(), Problem> {
        match self.journal() {
            Some(journal) if !journal.written(number, WRITE_PATIENCE).await => Err(
                Problem::overloaded("the change was made, but cannot be written down", 5),
            ),
            _ => Ok(()),
        }
    }

    pub(crate) fn next_job(&self, id: ContextId) -> Option<Job> {
        self.book().next_job(id)
    }

    pub(crate) fn settle(&self, id: ContextId, outcome: Outcome) -> Settled {
        self.change(|book, now| book.settle(id, outcome, now)).0
    }

    pub(crate) fn sweep(&self, ages: Ages) {
        self.begin_anew_if_due();
        self.change(|book, now| book.sweep(ages, now));
        let book = self.book();
        let (bytes, waiting) = book.weight();
        self.0.metrics.sizes(
            book.num_contexts(),
            book.num_apps(),
            book.num_routes(),
            bytes,
            waiting,
        );
    }

    pub(crate) fn revalidate(&self) {
        self.change(Book::revalidate);
    }
}
