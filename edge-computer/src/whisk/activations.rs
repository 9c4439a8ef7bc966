//! Records of executions, the newest first, as many as are kept: bounded in number and bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::entities::KeyValue;

/// Bytes of a record beside what it was given and has said, about.
const AROUND: usize = 1024;

/// What became of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    ApplicationError,
    DeveloperError,
    InternalError,
}

impl Outcome {
    fn text(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ApplicationError => "application error",
            Self::DeveloperError => "action developer error",
            Self::InternalError => "whisk internal error",
        }
    }

    fn code(self) -> u8 {
        self as u8
    }
}

/// A record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) namespace: String,
    /// With its package, if it is in one.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) version: String,
    /// Milliseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) cause: Option<String>,
    pub(super) annotations: Vec<KeyValue>,
    pub(super) logs: Vec<String>,
    pub(super) outcome: Outcome,
    pub(super) result: Box<RawValue>,
}

impl Record {
    /// Bytes that it takes, about.
    fn size(&self) -> usize {
        let logs: usize = self.logs.iter().map(String::len).sum();
        AROUND + self.result.get().len() + logs
    }

    /// What was returned, and how it went.
    pub(super) fn response(&self) -> Value {
        json!({
            "status": self.outcome.text(),
            "success": self.outcome == Outcome::Success,
            "result": serde_json::from_str::<Value>(self.result.get()).unwrap_or_default(),
            "size": self.result.get().len(),
        })
    }

    pub(super) fn document(&self) -> String {
        let mut document = self.head();
        document["subject"] = json!(self.namespace);
        document["logs"] = json!(self.logs);
        // The result as it is: numbers that no machine has survive, too.
        let text = document.to_string();
        let response = format!(
            ",\"response\":{{\"status\":\"{}\",\"success\":{},\"result\":{},\"size\":{}}}}}",
            self.outcome.text(),
            self.outcome == Outcome::Success,
            self.result.get(),
            self.result.get().len()
        );
        text[..text.len() - 1].to_owned() + &response
    }

    pub(super) fn summary(&self) -> Value {
        let mut summary = self.head();
        summary["statusCode"] = json!(self.outcome.code());
        summary
    }

    fn head(&self) -> Value {
        let mut head = json!({
            "namespace": self.namespace,
            "name": self.name,
            "version": self.version,
            "publish": false,
            "activationId": self.id,
            "start": self.start,
            "end": self.end,
            "duration": self.end.saturating_sub(self.start),
            "annotations": self.annotations,
        });
        if let Some(cause) = &self.cause {
            head["cause"] = json!(cause);
        }
        head
    }
}

/// What is asked of a listing.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) name: Option<String>,
    pub(super) since: Option<u64>,
    pub(super) upto: Option<u64>,
}

/// The records of one namespace.
#[derive(Debug, Default)]
pub(super) struct Activations {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// When executions began and ended, the last first: a record may go before it has stopped
    /// counting.
    times: VecDeque<(u64, u64)>,
}

impl Activations {
    /// Keeps a record, and as many of those before it as there is room for.
    pub(super) fn add(&mut self, record: Arc<Record>, max: usize, max_bytes: usize) {
        self.times.push_front((record.start, record.end));
        self.bytes += record.size();
        self.records.push_front(record);
        while self.records.len() > max || (self.bytes > max_bytes && self.records.len() > 1) {
            let Some(gone) = self.records.pop_back() else {
                return;
            };
            self.bytes -= gone.size();
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Record>> {
        self.records.iter().find(|record| record.id == id).cloned()
    }

    /// The newest first.
    pub(super) fn matching(&self, filter: &Filter) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter().filter(move |record| {
            let name = filter.name.as_ref();
            let qualified = || format!("{}/{}", record.path, record.name);
            let named = name.is_none_or(|name| {
                *name == record.name || qualified().ends_with(&format!("/{name}"))
            });
            named
                && filter.since.is_none_or(|since| record.start >= since)
                && filter.upto.is_none_or(|upto| record.start <= upto)
        })
    }

    pub(super) fn of_action(&self, name: &str) -> impl Iterator<Item = &Arc<Record>> {
        self.records
            .iter()
            .filter(move |record| record.name == name)
    }

    /// How many have begun since; nobody asks for what was before that any more.
    pub(super) fn since(&mut self, millis: u64) -> usize {
        while self.times.back().is_some_and(|(_, end)| *end < millis) {
            self.times.pop_back();
        }
        let begun = self.times.iter().filter(|(start, _)| *start >= millis);
        begun.count()
    }
}

/// Milliseconds since 1970.
pub(super) fn millis_now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: u64, bytes: usize) -> Arc<Record> {
        let result = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).unwrap();
        Arc::new(Record {
            id: at.to_string(),
            namespace: "guest".to_owned(),
            path: "guest".to_owned(),
            name: "f".to_owned(),
            version: "0.0.1".to_owned(),
            start: at,
            end: at,
            cause: None,
            annotations: Vec::new(),
            logs: vec!["x".repeat(bytes)],
            outcome: Outcome::Success,
            result,
        })
    }

    fn kept(activations: &Activations) -> Vec<u64> {
        let all = activations.matching(&Filter {
            name: None,
            since: None,
            upto: None,
        });
        all.map(|record| record.start).collect()
    }

    #[test]
    fn the_oldest_records_go_when_there_are_too_many_or_too_large_ones() {
        let mut activations = Activations::default();
        for at in 0..5 {
            activations.add(record(at, 10), 3, 1 << 20);
        }
        assert_eq!(kept(&activations), [4, 3, 2]);
        for at in 5..9 {
            activations.add(record(at, 10_000), 100, 50_000);
        }
        assert_eq!(kept(&activations), [8, 7]);
        // The last one stays whatever it takes.
        activations.add(record(9, 1_000_000), 100, 50_000);
        assert_eq!(kept(&activations), [9]);
        activations.add(record(10, 1), 100, 50_000);
        assert_eq!(kept(&activations), [10]);
        assert_eq!(activations.bytes, AROUND + 4);
        // All of them count, those that have gone, too.
        assert_eq!(activations.since(0), 11);
        assert_eq!(activations.since(7), 4);
        assert_eq!(activations.times.len(), 4);
    }
}
