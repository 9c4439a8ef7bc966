//! Compares the books of client, router and computers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::misfortune::Misfortunes;
use super::{Entry, IN_FLIGHT, ends};
use crate::chaos::journal::{Account, Event};
use crate::chaos::load::{End, Kind};
use crate::chaos::world::Totals;

/// The outcomes that routers count, and the end at the client that belongs to each.
const OUTCOMES: [(&str, &str); 8] = [
    ("ok", "right"),
    ("application_error", "retcode:application-error"),
    ("refused", "retcode:refused"),
    ("overloaded", "retcode:overloaded"),
    ("unavailable", "retcode:unavailable"),
    ("deadline", "retcode:deadline"),
    ("not_found", "retcode:not-found"),
    ("cancelled", "given-up"),
];

/// Answers that promise that a request was not executed.
const UNEXECUTED: [&str; 3] = ["retcode:refused", "retcode:overloaded", "retcode:not-found"];

/// What becomes of requests whose deadline is too early.
const HURRY: [&str; 2] = ["deadline", "retcode:deadline"];

/// The books, and whether they agree; named as in the JSON line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Audit {
    requests: u64,
    seconds: f64,
    misfortunes: Misfortunes,
    /// Ends at the client.
    client: BTreeMap<&'static str, u64>,
    /// Outcomes at the router.
    router: BTreeMap<&'static str, u64>,
    retries: u64,
    refusals: u64,
    hedges: u64,
    computers: Computers,
    /// Idempotent requests that were executed more than once.
    repeated: u64,
    /// Idempotent requests that were answered with an error, but for those in too great a hurry.
    idempotent_errors: u64,
    rules: Vec<Rule>,
}

/// What the journals say.
#[derive(Debug, Clone, Copy, Serialize)]
struct Computers {
    arrived: u64,
    executed: u64,
    turned_down: u64,
    failed: u64,
    overdue: u64,
    cancelled: u64,
    /// Begun by processes that were killed before they had ended it.
    interrupted: u64,
    /// Begun by processes that still run, and not ended.
    unfinished: u64,
}

/// Something that must hold.
#[derive(Debug, Clone, Serialize)]
struct Rule {
    text: &'static str,
    /// The numbers that are compared.
    numbers: String,
    holds: bool,
}

impl Audit {
    pub(super) fn of(
        entries: &[Entry],
        totals: &Totals,
        account: &Account,
        misfortunes: &Misfortunes,
        elapsed: Duration,
    ) -> anyhow::Result<Self> {
        let mut router = BTreeMap::new();
        for (outcome, _) in OUTCOMES {
            router.insert(outcome, totals.outcome(outcome)?);
        }
        let repeated = entries
            .iter()
            .filter(|entry| entry.kind == Kind::Idempotent)
            .filter(|entry| account.executions(entry.number) > 1);
        let failed = entries
            .iter()
            .filter(|entry| entry.kind == Kind::Idempotent)
            .filter(|entry| matches!(entry.end, Some(End::Error(name)) if !HURRY.contains(&name)));
        let mut audit = Self {
            requests: entries.len() as u64,
            seconds: elapsed.as_secs_f64(),
            misfortunes: *misfortunes,
            client: ends(entries),
            router,
            retries: totals.table("edge_router_retries_total")?,
            refusals: totals.table("edge_router_refusals_total")?,
            hedges: totals.table("edge_router_hedges_total")?,
            computers: Computers {
                arrived: account.count(Event::Arrived),
                executed: account.count(Event::Executed),
                turned_down: account.count(Event::TurnedDown),
                failed: account.count(Event::Failed),
                overdue: account.count(Event::Overdue),
                cancelled: account.count(Event::Cancelled),
                interrupted: account.interrupted,
                unfinished: account.unfinished,
            },
            repeated: repeated.count() as u64,
            idempotent_errors: failed.count() as u64,
            rules: Vec::new(),
        };
        audit.of_requests(entries, account);
        audit.of_router(totals.requests(), totals.in_flight()?);
        audit.of_computers(totals.requests());
        Ok(audit)
    }

    /// True if every rule holds.
    pub(super) fn agrees(&self) -> bool {
        self.rules.iter().all(|rule| rule.holds)
    }

    fn end(&self, name: &str) -> u64 {
        self.client.get(name).copied().unwrap_or_default()
    }

    fn rule(&mut self, text: &'static str, numbers: String, holds: bool) {
        self.rules.push(Rule {
            text,
            numbers,
            holds,
        });
    }

    fn none(&mut self, text: &'static str, count: u64) {
        self.rule(text, count.to_string(), count == 0);
    }

    /// What must hold of each request.
    fn of_requests(&mut self, entries: &[Entry], account: &Account) {
        let count = |of: &dyn Fn(&Entry) -> bool| entries.iter().filter(|e| of(e)).count() as u64;
        self.none("requests without an end", self.end("lost"));
        self.none("answers to another request", self.end("mistaken"));
        let unexecuted = |e: &Entry| e.end == Some(End::Right) && account.executions(e.number) == 0;
        self.none("right answers without an execution", count(&unexecuted));
        let twice = |e: &Entry| e.kind == Kind::Once && account.begun(e.number) > 1;
        self.none("begun twice, though not idempotent", count(&twice));
        let denied = |e: &Entry| {
            let promised = matches!(e.end, Some(End::Error(name)) if UNEXECUTED.contains(&name));
            e.kind == Kind::Once && promised && account.begun(e.number) > 0
        };
        self.none("said to be unexecuted, and begun", count(&denied));
    }

    /// What client and router must agree upon.
    fn of_router(&mut self, arrived: u64, in_flight: u64) {
        self.none("in flight at the router in the end", in_flight);
        let answered: u64 = OUTCOMES
            .iter()
            .filter(|(outcome, _)| *outcome != "cancelled")
            .map(|(_, end)| self.end(end))
            .sum();
        // The client's patience ended without an answer: the router may have counted anything, or
        // never have seen the request.
        let impatient = self.end("given-up") + self.end("deadline");
        let ended = answered + impatient + self.end("lost") + self.end("mistaken");
        self.rule(
            "requests = answered by the router + given up + overdue",
            format!("{} = {answered} + {impatient}", self.requests),
            ended == self.requests,
        );
        self.rule(
            "answered <= seen by the router <= answered + given up + overdue",
            format!("{answered} <= {arrived} <= {}", answered + impatient),
            (answered..=answered + impatient).contains(&arrived),
        );
        let unheard: Vec<_> = OUTCOMES
            .iter()
            .filter(|(outcome, _)| *outcome != "cancelled")
            .map(|(outcome, end)| (self.end(end), self.router[outcome]))
            .collect();
        self.rule(
            "of each outcome: heard by the client <= sent by the router",
            unheard
                .iter()
                .map(|(heard, sent)| format!("{heard} <= {sent}"))
                .collect::<Vec<_>>()
                .join(", "),
            unheard.iter().all(|(heard, sent)| heard <= sent),
        );
    }

    /// What router and computers must agree upon.
    fn of_computers(&mut self, seen: u64) {
        let Computers {
            arrived,
            executed,
            turned_down,
            failed,
            overdue,
            cancelled,
            interrupted,
            unfinished,
        } = self.computers;
        self.none("unfinished at computers that live", unfinished);
        let ended = executed + turned_down + failed + overdue + cancelled + interrupted;
        self.rule(
            "arrived at computers = executed + turned down + failed + overdue + cancelled + interrupted",
            format!(
                "{arrived} = {executed} + {turned_down} + {failed} + {overdue} + {cancelled} + {interrupted}"
            ),
            arrived == ended + unfinished,
        );
        let most = self.misfortunes.kills * IN_FLIGHT as u64;
        self.rule(
            "interrupted <= kills x requests in flight",
            format!("{interrupted} <= {most}"),
            interrupted <= most,
        );
        let attempts = seen + self.retries + self.refusals + self.hedges;
        self.rule(
            "arrived at computers <= attempts of the router",
            format!("{arrived} <= {attempts}"),
            arrived <= attempts,
        );
        let ok = self.router["ok"];
        let wasted = self.requests - self.end("right") + self.retries + self.hedges;
        self.rule(
            "answered ok <= executed <= answered ok + retries + hedges + requests without a right answer",
            format!("{ok} <= {executed} <= {}", ok + wasted),
            (ok..=ok + wasted).contains(&executed),
        );
    }

    /// Prints the books for people.
    pub(super) fn print(&self) {
        let Misfortunes {
            kills,
            freezes,
            resets,
        } = self.misfortunes;
        println!(
            "{} requests in {:.1} s ({:.0}/s), {kills} kills, {freezes} freezes, {resets} cuts\n",
            self.requests,
            self.seconds,
            self.requests as f64 / self.seconds
        );
        println!("{:<20}{:>12}{:>12}", "outcome", "client", "router");
        for (outcome, end) in OUTCOMES {
            println!(
                "{outcome:<20}{:>12}{:>12}",
                self.end(end),
                self.router[outcome]
            );
        }
        for (end, count) in &self.client {
            if OUTCOMES.iter().all(|(_, name)| name != end) {
                println!("{end:<20}{count:>12}{:>12}", "");
            }
        }
        println!(
            "\nretries {}, refusals {}, hedges {}; idempotent: executed again {}, errors {}\n",
            self.retries, self.refusals, self.hedges, self.repeated, self.idempotent_errors
        );
        for rule in &self.rules {
            let verdict = if rule.holds { "holds " } else { "BROKEN" };
            println!("{verdict}  {}: {}", rule.text, rule.numbers);
        }
    }
}
