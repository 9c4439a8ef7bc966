//! Looks ahead: what happens on a processor with one more task, without changing or copying it.
//!
//! The replay follows the rules of [`Station`] event by event and borrows what runs and waits, so
//! that it costs O(log n) for each event that it replays and nothing for those that it does not.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, btree_map};
use std::iter::Peekable;
use std::ops::Bound;

use super::{Demand, Finish, Moment, Processor, Running, Station, Task, TaskId, Work};

/// How far a forecast looks; beyond it, it reckons with means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Horizon {
    /// Events to replay, each the end of a task.
    pub events: usize,
    /// Seconds until the start of the task; a later one need not be known exactly.
    pub start: f64,
    /// Seconds until the end of the task; a later one need not be known exactly.
    pub end: f64,
}

impl Horizon {
    /// Looks as far as necessary to be exact.
    pub const UNBOUNDED: Self = Self {
        events: usize::MAX,
        start: f64::INFINITY,
        end: f64::INFINITY,
    };
}

/// What a task would meet if it came now and nobody after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Seconds until it starts.
    pub wait: f64,
    /// Seconds from its start to its end.
    pub service: f64,
    /// Seconds until the queue that it waits in becomes shorter; zero if it does not wait.
    pub room: f64,
}

/// A task that started during the replay; compared by when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Started {
    finish: Finish,
    id: TaskId,
    container: usize,
    memory: u64,
}

/// How far a container has come.
#[derive(Clone, Copy, Debug)]
struct Queue {
    active: u32,
    /// Tasks of the queue that have started since.
    started: usize,
    /// Their operations.
    started_ops: u128,
}

/// A processor from now on, with a probe: the task that is asked about.
#[derive(Debug)]
pub(in crate::sim) struct Replay<'a> {
    station: &'a Station,
    processor: Processor,
    /// What runs since before the replay began, and has not ended in it.
    earlier: Peekable<btree_map::Iter<'a, Finish, Running>>,
    started: BinaryHeap<Reverse<Started>>,
    queues: Vec<Queue>,
    heads: BTreeSet<(TaskId, usize)>,
    now: Moment,
    settled_at: Moment,
    work: Work,
    starts: u64,
    probe: Task,
    probe_waits: bool,
    probe_start: Option<(Moment, Finish)>,
    probe_end: Option<Moment>,
    /// When the first of those that wait in the container of the probe has started.
    moved_at: Option<Moment>,
}

impl<'a> Replay<'a> {
    /// Of `station` with `probe`, which comes at `now` and behind all others.
    pub(in crate::sim) fn new(station: &'a Station, now: Moment, probe: Task) -> Self {
        let queues = station.containers.iter().map(|container| Queue {
            active: container.active,
            started: 0,
            started_ops: 0,
        });
        let mut replay = Replay {
            processor: station.processor.clone(),
            earlier: station.active.iter().peekable(),
            started: BinaryHeap::new(),
            queues: queues.collect(),
            heads: station.heads.clone(),
            now,
            settled_at: station.settled_at,
            work: station.work,
            starts: station.starts,
            probe,
            probe_waits: false,
            probe_start: None,
            probe_end: None,
            moved_at: None,
            station,
        };
        replay.arrive();
        replay
    }

    /// Replays as far as `horizon` allows, and reckons with means from there on.
    pub(in crate::sim) fn forecast(mut self, horizon: Horizon) -> Forecast {
        let latest_end = self.now.after(horizon.end);
        let latest_start = self.now.after(horizon.start);
        let mut events = 0;
        while self.probe_end.is_none() && events < horizon.events {
            let waits = self.probe_start.is_none();
            if self.settled_at > latest_end || waits && self.settled_at > latest_start {
                break;
            }
            if !self.complete_next() {
                break;
            }
            events += 1;
        }
        self.conclude()
    }

    fn elapsed(&self) -> f64 {
        self.settled_at.since(self.now)
    }

    /// What is known, and for the rest: workers as busy and quick as now, with tasks that need the
    /// mean of those that wait.
    fn conclude(&self) -> Forecast {
        let container = &self.station.containers[self.probe.container];
        let queue = self.queues[self.probe.container];
        let rate = self.processor.rate();
        let ahead = container.pending.len() - queue.started;
        let ops_ahead = (container.pending_needs.ops - queue.started_ops) as f64;
        let mean_ops = match ahead {
            0 => self.probe.demand.ops as f64,
            ahead => ops_ahead / ahead as f64,
        };
        // Nothing runs only where nothing has to wait.
        let seconds_per_place = match queue.active {
            _ if rate == 0.0 => 0.0,
            active => mean_ops / (f64::from(active.max(1)) * rate),
        };
        let elapsed = self.elapsed();
        let since_now = |at: Moment| at.since(self.now);
        let wait = match self.probe_start {
            Some((start, _)) => since_now(start),
            None => elapsed + (ahead + 1) as f64 * seconds_per_place,
        };
        let service = match (self.probe_start, self.probe_end) {
            (Some((start, _)), Some(end)) => end.since(start),
            (Some((start, (finish, _))), None) => {
                self.settled_at.since(start) + finish.ops_since(self.work) / rate
            }
            (None, _) => self.probe.demand.ops as f64 / rate.max(f64::MIN_POSITIVE),
        };
        let room = match (self.probe_waits, self.moved_at) {
            (false, _) => 0.0,
            (true, Some(moved)) => since_now(moved),
            (true, None) => elapsed + seconds_per_place,
        };
        Forecast {
            wait,
            service,
            room,
        }
    }

    /// [`Station::push`] of the probe.
    fn arrive(&mut self) {
        let Task {
            container, demand, ..
        } = self.probe;
        if self.station.starts_at_once(container, demand) {
            let station = self.station;
            self.settled_at = self.now.max(station.settled_at);
            self.work = station.work_at(self.settled_at);
            self.forget_head(container);
            self.start(container, (self.probe.id, demand));
        } else {
            self.forget_head(container);
            self.probe_waits = true;
        }
        self.note_head(container);
    }

    /// [`Station::complete_next`]; false if nothing runs.
    fn complete_next(&mut self) -> bool {
        let earlier = self.earlier.peek().map(|(finish, _)| **finish);
        let later = self.started.peek().map(|Reverse(started)| started.finish);
        let finish = match (earlier, later) {
            (Some(earlier), Some(later)) => earlier.min(later),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return false,
        };
        let seconds = finish.0.ops_since(self.work) / self.processor.rate();
        self.settled_at = self.settled_at.after(seconds);
        self.work = finish.0;
        if later == Some(finish) {
            if let Some(Reverse(ended)) = self.started.pop() {
                if ended.id == self.probe.id {
                    self.probe_end = Some(self.settled_at);
                }
                self.release(ended.container, ended.memory);
            }
        } else if let Some((_, ended)) = self.earlier.next() {
            self.release(ended.task.container, ended.task.demand.memory);
        }
        true
    }

    /// [`Station::start`].
    fn start(&mut self, container: usize, (id, demand): (TaskId, Demand)) {
        self.processor
            .allocate(demand.memory)
            .expect("a task is started only where it fits");
        self.queues[container].active += 1;
        let finish = (self.work.after_ops(demand.ops), self.starts);
        self.starts += 1;
        if id == self.probe.id {
            self.probe_start = Some((self.settled_at, finish));
        }
        self.started.push(Reverse(Started {
            finish,
            id,
            container,
            memory: demand.memory,
        }));
    }

    /// Starts the first of those that wait in a container.
    fn start_head(&mut self, container: usize, head: (TaskId, Demand)) {
        let (id, demand) = head;
        if id != self.probe.id {
            let queue = &mut self.queues[container];
            queue.started += 1;
            queue.started_ops += u128::from(demand.ops);
        }
        if container == self.probe.container {
            self.moved_at.get_or_insert(self.settled_at);
        }
        self.start(container, head);
    }

    /// [`Station::release`].
    fn release(&mut self, container: usize, memory: u64) {
        self.processor
            .free(memory)
            .expect("a running task holds its memory");
        if !self.heads.is_empty() {
            self.forget_head(container);
            self.queues[container].active -= 1;
            self.note_head(container);
            return self.start_waiting();
        }
        // Nobody waits for memory, so that only this container can go on.
        self.queues[container].active -= 1;
        match self.head(container) {
            Some(head) if self.fits(head.1) => self.start_head(container, head),
            Some((id, _)) => {
                self.heads.insert((id, container));
            }
            None => {}
        }
    }

    /// [`Station::start_waiting`].
    fn start_waiting(&mut self) {
        let mut from = Bound::Unbounded;
        while let Some(&(id, container)) = self.heads.range((from, Bound::Unbounded)).next() {
            from = Bound::Excluded((id, container));
            let Some(head) = self.head(container).filter(|head| self.fits(head.1)) else {
                continue;
            };
            self.forget_head(container);
            self.start_head(container, head);
            self.note_head(container);
        }
    }

    fn fits(&self, demand: Demand) -> bool {
        demand.memory <= self.processor.memory_free()
    }

    /// The task that starts next in a container, if a worker is free for it.
    fn head(&self, container: usize) -> Option<(TaskId, Demand)> {
        let served = &self.station.containers[container];
        let queue = &self.queues[container];
        if queue.active >= served.workers {
            return None;
        }
        if let Some(task) = served.pending.get(queue.started) {
            return Some((task.id, task.demand));
        }
        let probe_is_next = self.probe_waits && self.probe_start.is_none();
        (probe_is_next && container == self.probe.container)
            .then_some((self.probe.id, self.probe.demand))
    }

    fn forget_head(&mut self, container: usize) {
        if let Some((id, _)) = self.head(container) {
            self.heads.remove(&(id, container));
        }
    }

    fn note_head(&mut self, container: usize) {
        if let Some((id, _)) = self.head(container) {
            self.heads.insert((id, container));
        }
    }
}
