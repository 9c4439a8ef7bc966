//! The event engine of one processor: who runs, who waits, and what ends next.
//!
//! All tasks of a processor progress at one speed, so a clock that counts operations per task
//! orders them: a task that starts when the clock reads `w` ends when it reads `w + ops`, whatever
//! the speed does meanwhile. The clock is read anew only when the speed changes, that is when a
//! task starts or stops, or when the processor itself is made slower or faster. An event costs O(log n) in the number of running tasks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use super::container::{Container, Task, TaskId};
use super::processor::{Processor, ProcessorError};
use super::requirements::Demand;
use super::time::{Moment, Work};
use super::utilization::{Loads, UtilizationMeter};

mod bounds;
mod replay;
#[cfg(test)]
mod tests;

pub use self::bounds::Bounds;
pub(super) use self::replay::Replay;
pub use self::replay::{Forecast, Horizon};

/// Where a running task stands in the order of completion: the work clock at its end, then the
/// order of starting, so that equals end first come, first served.
type Finish = (Work, u64);

#[derive(Clone, Copy, Debug)]
struct Running {
    task: Task,
    started_at: Moment,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Pending { container: usize },
    Active(Finish),
}

/// A task that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    pub(super) task: Task,
    pub(super) started_at: Moment,
    pub(super) finished_at: Moment,
}

/// One processor with the containers that are bound to it.
#[derive(Clone, Debug)]
pub(super) struct Station {
    processor: Processor,
    containers: Vec<Container>,
    active: BTreeMap<Finish, Running>,
    places: HashMap<TaskId, Place>,
    /// First pending task of every container that has a free worker but waits for memory.
    heads: BTreeSet<(TaskId, usize)>,
    /// When the work clock was last read, and what it read.
    settled_at: Moment,
    work: Work,
    starts: u64,
    meter: UtilizationMeter,
}

impl Station {
    pub(super) fn new(processor: Processor) -> Self {
        Station {
            meter: UtilizationMeter::new(processor.cores()),
            processor,
            containers: Vec::new(),
            active: BTreeMap::new(),
            places: HashMap::new(),
            heads: BTreeSet::new(),
            settled_at: Moment::default(),
            work: Work::default(),
            starts: 0,
        }
    }

    /// Adds a container and returns its index.
    pub(super) fn add_container(&mut self, container: Container) -> usize {
        self.containers.push(container);
        self.containers.len() - 1
    }

    pub(super) fn processor(&self) -> &Processor {
        &self.processor
    }

    pub(super) fn container(&self, index: usize) -> &Container {
        &self.containers[index]
    }

    /// Whether a task of this container would start at once.
    pub(super) fn starts_at_once(&self, container: usize, demand: Demand) -> bool {
        self.containers[container].has_free_worker()
            && demand.memory <= self.processor.memory_free()
    }

    /// Starts a task, or lets it wait where no worker is free or memory is short.
    ///
    /// A task that fits starts even if an earlier and larger one of the same container waits for
    /// memory, as in the C++ reference.
    pub(super) fn push(&mut self, now: Moment, task: Task) {
        if self.starts_at_once(task.container, task.demand) {
            self.settle(now);
            self.forget_head(task.container);
            self.start(task);
            self.note_head(task.container);
        } else {
            let container = task.container;
            self.forget_head(container);
            self.places.insert(task.id, Place::Pending { container });
            self.containers[container].enqueue(task);
            self.note_head(container);
        }
    }

    /// Whether a task waits for its turn; false if it runs, has ended or is unknown.
    pub(super) fn waits(&self, id: TaskId) -> bool {
        matches!(self.places.get(&id), Some(Place::Pending { .. }))
    }

    /// When the next running task ends, if nothing is pushed or cancelled before.
    pub(super) fn due(&self) -> Option<Moment> {
        let (&(finish, _), _) = self.active.first_key_value()?;
        let seconds = finish.ops_since(self.work) / self.processor.rate();
        Some(self.settled_at.after(seconds))
    }

    /// Moves on to the instant at which the next running task ends, ends it, and starts those that
    /// waited for its worker or its memory.
    pub(super) fn complete_next(&mut self) -> Option<Finished> {
        let finished_at = self.due()?;
        let (finish, running) = self.active.pop_first()?;
        self.settle_at(finished_at, finish.0);
        self.places.remove(&running.task.id);
        self.release(running.task);
        Some(Finished {
            task: running.task,
            started_at: running.started_at,
            finished_at,
        })
    }

    /// Takes a task away, pending or running; false if there is none of that id.
    pub(super) fn cancel(&mut self, now: Moment, id: TaskId) -> bool {
        let Some(place) = self.places.remove(&id) else {
            return false;
        };
        self.settle(now);
        match place {
            Place::Pending { container } => {
                self.forget_head(container);
                self.containers[container].remove_pending(id);
                self.note_head(container);
                self.start_waiting();
            }
            Place::Active(finish) => {
                if let Some(running) = self.active.remove(&finish) {
                    self.release(running.task);
                }
            }
        }
        true
    }

    /// Changes the speed of the processor from `now` on; what was done before stays done.
    pub(super) fn set_speed(&mut self, now: Moment, speed: f64) -> Result<(), ProcessorError> {
        self.settle(now);
        self.processor.set_speed(speed)
    }

    /// Operations that the running task of `container` that ends first still needs at `now`.
    pub(super) fn front_residual(&self, now: Moment, container: usize) -> Option<f64> {
        let work = self.work_at(now);
        self.active
            .iter()
            .find(|(_, running)| running.task.container == container)
            .map(|((finish, _), _)| finish.ops_since(work))
    }

    /// Closes an interval of the utilisation meter.
    pub(super) fn sample_utilization(&mut self, now: Moment) -> f32 {
        self.meter.sample(now, self.processor.running())
    }

    pub(super) fn loads(&self) -> Loads {
        self.meter.loads()
    }

    /// What the work clock reads at `now`; never beyond the end of the task that ends first.
    fn work_at(&self, now: Moment) -> Work {
        let work = self
            .work
            .after(now.since(self.settled_at), self.processor.rate());
        match self.active.first_key_value() {
            Some((&(finish, _), _)) => work.min(finish),
            None => work,
        }
    }

    fn settle(&mut self, now: Moment) {
        let now = now.max(self.settled_at);
        self.settle_at(now, self.work_at(now));
    }

    fn settle_at(&mut self, now: Moment, work: Work) {
        self.meter.observe(now, self.processor.running());
        self.settled_at = now;
        self.work = work;
    }

    /// Starts a task at the settled instant; its container has a free worker and it fits.
    fn start(&mut self, task: Task) {
        self.processor
            .allocate(task.demand.memory)
            .expect("a task is started only where it fits");
        self.containers[task.container].occupy(task.demand);
        let finish = (self.work.after_ops(task.demand.ops), self.starts);
        self.starts += 1;
        self.places.insert(task.id, Place::Active(finish));
        let started_at = self.settled_at;
        self.active.insert(finish, Running { task, started_at });
    }

    /// Gives back the worker and the memory of a task that ran until the settled instant.
    fn release(&mut self, task: Task) {
        self.processor
            .free(task.demand.memory)
            .expect("a running task holds its memory");
        self.forget_head(task.container);
        self.containers[task.container].vacate(task.demand);
        self.note_head(task.container);
        self.start_waiting();
    }

    /// Starts what waits and can run, over all containers of the processor in the order of
    /// arrival; in each of them no task starts before those ahead of it.
    fn start_waiting(&mut self) {
        let mut from = Bound::Unbounded;
        while let Some(&(id, container)) = self.heads.range((from, Bound::Unbounded)).next() {
            from = Bound::Excluded((id, container));
            let fits = |task: &Task| task.demand.memory <= self.processor.memory_free();
            if self.containers[container].pending.front().is_some_and(fits) {
                self.forget_head(container);
                if let Some(task) = self.containers[container].dequeue() {
                    self.start(task);
                }
                self.note_head(container);
            }
        }
    }

    /// To be called before a container changes, as [`Station::note_head`] afterwards.
    fn forget_head(&mut self, container: usize) {
        if let Some(task) = self.containers[container].startable_head() {
            self.heads.remove(&(task.id, container));
        }
    }

    fn note_head(&mut self, container: usize) {
        if let Some(task) = self.containers[container].startable_head() {
            self.heads.insert((task.id, container));
        }
    }
}
