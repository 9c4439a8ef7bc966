//! Puts a computer together and checks it once, so that the engine need not.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::super::container::Container;
use super::super::lambda::Lambda;
use super::super::processor::{Processor, ProcessorError};
use super::super::station::Station;
use super::super::time::SimTime;
use super::{Computer, Route};

/// Tasks that may wait in each container unless said otherwise.
pub const DEFAULT_MAX_PENDING: usize = 10_000;

/// Why a computer cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BuildError {
    /// Two processors of one name.
    #[error("duplicate processor: {0}")]
    DuplicateProcessor(String),
    /// Two containers of one name.
    #[error("duplicate container: {0}")]
    DuplicateContainer(String),
    /// Two containers for one lambda.
    #[error("duplicate lambda: {lambda}, served by container {first} and by container {second}")]
    DuplicateLambda {
        /// The lambda.
        lambda: String,
        /// The container that serves it.
        first: String,
        /// The container that would serve it too.
        second: String,
    },
    /// A container is bound to a processor that does not exist.
    #[error("container {container}: unknown processor: {processor}, there are: {known}")]
    UnknownProcessor {
        /// The container.
        container: String,
        /// The processor that it names.
        processor: String,
        /// Those that exist, separated by commas.
        known: String,
    },
    /// A container without name.
    #[error("a container needs a name: it is empty")]
    NoContainerName,
    /// A lambda without name.
    #[error("container {container}: its lambda needs a name: it is empty")]
    NoLambdaName {
        /// The container.
        container: String,
    },
    /// A container that could not run anything.
    #[error("container {container}: num-workers is 0, must be at least 1")]
    NoWorkers {
        /// The container.
        container: String,
    },
    /// A processor that cannot exist.
    #[error(transparent)]
    Processor(#[from] ProcessorError),
}

/// Collects processors and containers.
#[derive(Clone, Debug)]
pub struct ComputerBuilder {
    name: String,
    stations: BTreeMap<String, Station>,
    /// Container, processor and position on it, by lambda.
    lambdas: BTreeMap<String, (String, usize)>,
    containers: BTreeSet<String>,
    max_pending: usize,
}

impl ComputerBuilder {
    pub(super) fn new(name: &str) -> Self {
        ComputerBuilder {
            name: name.to_owned(),
            stations: BTreeMap::new(),
            lambdas: BTreeMap::new(),
            containers: BTreeSet::new(),
            max_pending: DEFAULT_MAX_PENDING,
        }
    }

    /// Adds a processor.
    pub fn add_processor(&mut self, processor: Processor) -> Result<(), BuildError> {
        let name = processor.name().to_owned();
        if self.stations.contains_key(&name) {
            return Err(BuildError::DuplicateProcessor(name));
        }
        self.stations.insert(name, Station::new(processor));
        Ok(())
    }

    /// Adds a container that serves `lambda` with `workers` workers on a processor that has been
    /// added before.
    pub fn add_container(
        &mut self,
        name: &str,
        processor: &str,
        lambda: Lambda,
        workers: u32,
    ) -> Result<(), BuildError> {
        let container = || name.to_owned();
        if name.is_empty() {
            return Err(BuildError::NoContainerName);
        }
        if self.containers.contains(name) {
            return Err(BuildError::DuplicateContainer(container()));
        }
        if lambda.name.is_empty() {
            return Err(BuildError::NoLambdaName {
                container: container(),
            });
        }
        if let Some((processor, position)) = self.lambdas.get(&*lambda.name) {
            return Err(BuildError::DuplicateLambda {
                lambda: lambda.name.to_string(),
                first: self.stations[processor]
                    .container(*position)
                    .name
                    .to_string(),
                second: container(),
            });
        }
        let Some(station) = self.stations.get_mut(processor) else {
            let known: Vec<&str> = self.stations.keys().map(String::as_str).collect();
            return Err(BuildError::UnknownProcessor {
                container: container(),
                processor: processor.to_owned(),
                known: known.join(", "),
            });
        };
        if workers == 0 {
            return Err(BuildError::NoWorkers {
                container: container(),
            });
        }
        let served = lambda.name.to_string();
        let position = station.add_container(Container::new(name, lambda, workers));
        self.lambdas
            .insert(served, (processor.to_owned(), position));
        self.containers.insert(container());
        Ok(())
    }

    /// Limits how many tasks may wait in each container; 0 refuses what cannot start at once.
    pub fn max_pending(&mut self, tasks: usize) {
        self.max_pending = tasks;
    }

    /// The computer, idle at time zero.
    pub fn build(self) -> Computer {
        let order: BTreeMap<&String, usize> = self.stations.keys().zip(0..).collect();
        let route = |(processor, container): (String, usize)| Route {
            station: order[&processor],
            container,
        };
        let routes = self
            .lambdas
            .into_iter()
            .map(|(lambda, place)| (lambda.into(), route(place)))
            .collect();
        Computer {
            name: self.name,
            routes,
            stations: self.stations.into_values().collect(),
            max_pending: self.max_pending,
            accepted: 0,
            now: SimTime::ZERO,
            done: Vec::new(),
        }
    }
}
