//! Requests on their way, in slots that are used again.

use edge_balance::{Lease, Nanos, Report, Tried};

use super::arrivals::Arrival;
use super::course::Request;
use super::events::GENERATION_BITS;
use super::topology::Neighbour;

/// How an attempt ended, known to the router when the answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Executed.
    Done,
    /// Turned down because of the wait.
    Refused,
    /// Refused a connection, answered with an error, or lost in a crash.
    Failed,
}

/// A request and its current attempt. Times are in nanoseconds, work is in seconds at speed 1.
///
/// Where queues are long none of it is in the cache when its turn comes, so what an executor looks at
/// lies together.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Job {
    pub(super) request: Arrival,
    /// When a worker took it.
    pub(super) started: u64,
    /// Since when `left` has been worked on.
    pub(super) since: u64,
    /// Work left at `since`.
    pub(super) left: f64,
    /// Of the plan when it will be done.
    pub(super) generation: u32,
    /// Requests at its executor when it left that.
    pub(super) in_flight: u32,
    /// When it reached its executor.
    pub(super) reached: u64,
    /// How long it executed.
    pub(super) service: Nanos,
    /// How long it was at its executor.
    pub(super) residence: Nanos,
    pub(super) to: Neighbour,
    /// How slow the answer to the first attempt is.
    pub(super) back: f64,
    pub(super) sent: u64,
    /// What identifies the executor to the router.
    pub(super) destination: u32,
    pub(super) attempts: u8,
    /// Whether it is part of the outcome.
    pub(super) counts: bool,
    pub(super) verdict: Verdict,
    pub(super) pick: Option<Lease>,
    /// Elsewhere, since most requests are sent once, and there are many where queues are long.
    pub(super) tried: Option<Box<Tried>>,
}

impl Job {
    /// Whether a plan of that generation, as far as an event keeps it, still holds.
    pub(super) fn is_planned(&self, generation: u32) -> bool {
        (self.generation ^ generation) << (32 - GENERATION_BITS) == 0
    }

    /// What the answer says of an executor with so many workers, of which so many were busy.
    pub(super) fn report(&self, workers: u32, utilisation: Option<f32>) -> Report {
        let executed = self.verdict == Verdict::Done;
        Report {
            in_flight: Some(self.in_flight),
            workers: Some(workers),
            utilization: utilisation,
            service: executed.then_some(self.service),
            residence: executed.then_some(self.residence),
            ..Report::default()
        }
    }

    /// Notes that the current attempt was in vain.
    pub(super) fn give_up_attempt(&mut self) {
        let tried = self.tried.get_or_insert_default();
        tried.push(self.destination.into());
        if self.verdict == Verdict::Refused {
            tried.refused();
        }
    }
}

/// All requests on their way.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    slots: Vec<Job>,
    free: Vec<u32>,
}

impl Jobs {
    /// Forgets all, but keeps the memory: where queues were long it takes a while to get that.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
    }

    pub(super) fn add(&mut self, request: &Request, counts: bool) -> u32 {
        let Request {
            arrival: request,
            back,
            ..
        } = *request;
        if let Some(id) = self.free.pop() {
            let job = &mut self.slots[id as usize];
            job.request = request;
            job.back = back;
            job.counts = counts;
            job.attempts = 0;
            return id;
        }
        self.slots.push(Job {
            request,
            back,
            counts,
            attempts: 0,
            sent: 0,
            to: Neighbour {
                executor: 0,
                half: 0.0,
            },
            destination: 0,
            pick: None,
            verdict: Verdict::Done,
            reached: 0,
            in_flight: 0,
            service: Nanos::ZERO,
            residence: Nanos::ZERO,
            started: 0,
            since: 0,
            left: 0.0,
            generation: 0,
            tried: None,
        });
        self.slots.len() as u32 - 1
    }

    pub(super) fn remove(&mut self, id: u32) {
        let job = &mut self[id];
        debug_assert!(job.pick.is_none(), "the router was told how it ended");
        // No plan made for this request may touch the next one in its slot.
        job.generation = job.generation.wrapping_add(1);
        job.tried = None;
        self.free.push(id);
    }
}

impl std::ops::Index<u32> for Jobs {
    type Output = Job;

    fn index(&self, id: u32) -> &Job {
        &self.slots[id as usize]
    }
}

impl std::ops::IndexMut<u32> for Jobs {
    fn index_mut(&mut self, id: u32) -> &mut Job {
        &mut self.slots[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_fills_three_cache_lines() {
        assert_eq!(size_of::<Job>(), 192);
    }
}
