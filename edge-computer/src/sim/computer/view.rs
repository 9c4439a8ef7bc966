//! What a computer is made of and how full it is, to be announced, measured and printed.

use std::fmt;

use super::super::processor::ProcessorKind;
use super::super::utilization::Loads;
use super::{Computer, Route};

/// A container as it is announced to a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerView<'a> {
    /// Name of the container.
    pub name: &'a str,
    /// Name of the processor that it is bound to.
    pub processor: &'a str,
    /// The lambda that it serves.
    pub lambda: &'a str,
    /// Tasks that it runs at the same time.
    pub num_workers: u32,
}

/// How full the container of a lambda is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LambdaStatus {
    /// Tasks that run.
    pub active: u32,
    /// Tasks that wait.
    pub pending: usize,
    /// Tasks that it can run at the same time.
    pub workers: u32,
}

/// A processor and how full it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessorView<'a> {
    /// Name of the processor.
    pub name: &'a str,
    /// What it is called.
    pub kind: ProcessorKind,
    /// Number of cores.
    pub cores: u32,
    /// Operations per second and core.
    pub speed: f64,
    /// Bytes of memory.
    pub memory_total: u64,
    /// Bytes that running tasks hold.
    pub memory_used: u64,
    /// Tasks that run, over all containers.
    pub running: u32,
    /// Utilisation as of the latest sample.
    pub loads: Loads,
}

impl Computer {
    /// All containers, in the order of their lambdas' names.
    pub fn containers(&self) -> impl Iterator<Item = ContainerView<'_>> {
        self.routes.values().map(|&Route { station, container }| {
            let station = &self.stations[station];
            let container = station.container(container);
            ContainerView {
                name: &container.name,
                processor: station.processor().name(),
                lambda: &container.lambda.name,
                num_workers: container.workers,
            }
        })
    }

    /// All processors, in the order of their names, as of the last call with a time.
    pub fn processors(&self) -> impl Iterator<Item = ProcessorView<'_>> {
        self.stations.iter().map(|station| {
            let processor = station.processor();
            ProcessorView {
                name: processor.name(),
                kind: processor.kind(),
                cores: processor.cores(),
                speed: processor.speed(),
                memory_total: processor.memory_total(),
                memory_used: processor.memory_used(),
                running: processor.running(),
                loads: station.loads(),
            }
        })
    }

    /// How full the container of `lambda` is, as of the last call with a time; `None` if there is
    /// none.
    pub fn status(&self, lambda: &str) -> Option<LambdaStatus> {
        let &Route { station, container } = self.routes.get(lambda)?;
        let container = self.stations[station].container(container);
        Some(LambdaStatus {
            active: container.active,
            pending: container.pending.len(),
            workers: container.workers,
        })
    }

    /// Loads of the processor that serves `lambda`, as of the latest sample; zeros before the
    /// first one, and for a lambda that is not served.
    pub fn loads(&self, lambda: &str) -> Loads {
        match self.routes.get(lambda) {
            Some(route) => self.stations[route.station].loads(),
            None => Loads::default(),
        }
    }
}

impl fmt::Display for Computer {
    /// The text that the C++ reference prints, as of the last call with a time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "computer {}", self.name)?;
        for p in self.processors() {
            writeln!(
                f,
                "processor name {}, type {}, {} cores, speed {} operations/s per core, \
                 memory total/available/used {}/{}/{} bytes, {} running tasks",
                p.name,
                p.kind,
                p.cores,
                p.speed,
                p.memory_total,
                p.memory_total - p.memory_used,
                p.memory_used,
                p.running,
            )?;
        }
        for &Route { station, container } in self.routes.values() {
            let c = self.stations[station].container(container);
            writeln!(
                f,
                "container name {}, lambda name {}, num-workers {}, active {}, pending {}",
                c.name,
                c.lambda.name,
                c.workers,
                c.active,
                c.pending.len(),
            )?;
        }
        Ok(())
    }
}
