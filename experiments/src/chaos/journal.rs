//! What a computer did with each request, written down so that it survives the computer.
//!
//! Each event is one `write` to a file in append mode, and is in the hands of the kernel when the
//! call returns: a process that is killed loses no event that it has written.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;

/// Something that happened to a request, or to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The process has started; its number means nothing.
    Started = 0,
    /// The request has arrived, and may be executed from now on.
    Arrived = 1,
    /// It was executed.
    Executed = 2,
    /// It was turned down unexecuted.
    TurnedDown = 3,
    /// Its function failed, as it was asked to.
    Failed = 4,
    /// Its deadline passed.
    Overdue = 5,
    /// Whoever had sent it gave it up.
    Cancelled = 6,
}

impl Event {
    const ALL: [Self; 7] = [
        Self::Started,
        Self::Arrived,
        Self::Executed,
        Self::TurnedDown,
        Self::Failed,
        Self::Overdue,
        Self::Cancelled,
    ];
}

/// Bytes of one event: its kind, and the number of the request.
const RECORD: usize = 9;

/// The writing end.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Goes on with the journal at `path`, or begins it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        let journal = Self { file };
        journal.write(Event::Started, 0)?;
        Ok(journal)
    }

    /// Writes down what happened to the request of that number.
    pub(super) fn write(&self, event: Event, number: u64) -> std::io::Result<()> {
        let mut record = [event as u8; RECORD];
        record[1..].copy_from_slice(&number.to_be_bytes());
        (&self.file).write_all(&record)
    }
}

/// What all journals together say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// Arrivals that were not turned down, and executions, by the number of the request.
    requests: HashMap<u64, Fate>,
    /// Events by kind.
    events: [u64; Event::ALL.len()],
    /// Requests that a process had begun with and not ended when it died.
    pub(super) interrupted: u64,
    /// Requests that the last process of a computer, which nobody killed, has not ended.
    pub(super) unfinished: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Fate {
    begun: u32,
    executed: u32,
}

impl Account {
    /// Adds the journal at `path`; there is none if its computer never started.
    pub(super) fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", path.display()))?;
        self.read(&bytes)
            .with_context(|| format!("{} is no journal", path.display()))
    }

    fn read(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let (records, rest) = bytes.as_chunks::<RECORD>();
        anyhow::ensure!(rest.is_empty(), "it ends within an event");
        // Of the present process.
        let mut open: i64 = 0;
        for record in records {
            let [kind, number @ ..] = *record;
            let event = Event::ALL.get(usize::from(kind)).copied();
            let event = event.with_context(|| format!("no event {kind}"))?;
            self.events[event as usize] += 1;
            let fate = self.requests.entry(u64::from_be_bytes(number));
            match event {
                Event::Started => {
                    self.interrupted += open.unsigned_abs();
                    open = 0;
                    continue;
                }
                Event::Arrived => {
                    open += 1;
                    fate.or_default().begun += 1;
                    continue;
                }
                Event::TurnedDown => fate.or_default().begun -= 1,
                Event::Executed => fate.or_default().executed += 1,
                Event::Failed | Event::Overdue | Event::Cancelled => {}
            }
            open -= 1;
        }
        self.unfinished += open.unsigned_abs();
        Ok(())
    }

    /// How often that happened.
    pub(super) fn count(&self, event: Event) -> u64 {
        self.events[event as usize]
    }

    /// How often the request of that number was executed.
    pub(super) fn executions(&self, number: u64) -> u32 {
        self.requests.get(&number).map_or(0, |fate| fate.executed)
    }

    /// How often a computer began with the request of that number, whatever came of it.
    pub(super) fn begun(&self, number: u64) -> u32 {
        self.requests.get(&number).map_or(0, |fate| fate.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(processes: &[&[(Event, u64)]]) -> Account {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        for events in processes {
            let journal = Journal::open(&path).unwrap();
            for (event, number) in *events {
                journal.write(*event, *number).unwrap();
            }
        }
        let mut account = Account::default();
        account.add(&path).unwrap();
        account
    }

    #[test]
    fn a_request_that_was_turned_down_has_not_been_begun() {
        use Event::{Arrived, Executed, TurnedDown};
        let account = account(&[&[(Arrived, 7), (TurnedDown, 7), (Arrived, 7), (Executed, 7)]]);
        assert_eq!((account.begun(7), account.executions(7)), (1, 1));
        assert_eq!((account.begun(8), account.executions(8)), (0, 0));
        assert_eq!((account.interrupted, account.unfinished), (0, 0));
    }

    #[test]
    fn what_a_killed_process_had_begun_is_interrupted() {
        use Event::{Arrived, Executed};
        let died: &[_] = &[(Arrived, 1), (Arrived, 2), (Executed, 1)];
        let account = account(&[died, &[(Arrived, 2), (Executed, 2), (Arrived, 3)]]);
        assert_eq!(account.interrupted, 1);
        assert_eq!(account.unfinished, 1);
        assert_eq!((account.begun(2), account.executions(2)), (2, 1));
        assert_eq!(account.count(Arrived), 4);
    }

    #[test]
    fn what_is_no_journal_is_an_error() {
        assert!(Account::default().read(&[1; RECORD - 1]).is_err());
        assert!(Account::default().read(&[9; RECORD]).is_err());
    }
}
