//! A processor: cores that running tasks share equally, and memory that they hold.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use thiserror::Error;

/// What a processor is called; timing does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ProcessorKind {
    /// A general-purpose processor.
    GenericCpu,
    /// A graphics processor.
    GenericGpu,
}

impl fmt::Display for ProcessorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProcessorKind::GenericCpu => "GenericCpu",
            ProcessorKind::GenericGpu => "GenericGpu",
        })
    }
}

/// Why a processor cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ProcessorError {
    /// The name is the empty string.
    #[error("a processor needs a name: it is empty")]
    NoName,
    /// The speed is no positive number of single precision.
    #[error(
        "processor {name}: speed is {speed} operations per second, must be positive and at most {max:e}",
        max = f32::MAX
    )]
    Speed {
        /// Name of the processor.
        name: String,
        /// The rejected speed.
        speed: f64,
    },
    /// The number of cores is 0.
    #[error("processor {name}: cores is 0, must be at least 1")]
    NoCores {
        /// Name of the processor.
        name: String,
    },
    /// The memory is 0.
    #[error("processor {name}: memory is 0 bytes, must be at least 1")]
    NoMemory {
        /// Name of the processor.
        name: String,
    },
}

/// Memory asked for, or given back, that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// More bytes asked for than are free.
    #[error("{asked} bytes asked for, {free} free")]
    Insufficient {
        /// Bytes asked for.
        asked: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// More bytes given back than running tasks hold.
    #[error("{given} bytes given back, {used} in use by {running} running tasks")]
    NotHeld {
        /// Bytes given back.
        given: u64,
        /// Bytes in use.
        used: u64,
        /// Running tasks.
        running: u32,
    },
}

/// Cores of one speed with a common memory, and the tasks that run on them.
#[derive(Clone, Debug)]
pub struct Processor {
    name: Arc<str>,
    kind: ProcessorKind,
    speed: f64,
    cores: u32,
    memory_total: u64,
    memory_used: u64,
    running: u32,
}

impl Processor {
    /// A processor with `cores` cores of `speed` operations per second each and `memory` bytes.
    pub fn new(
        name: &str,
        kind: ProcessorKind,
        speed: f64,
        cores: u32,
        memory: u64,
    ) -> Result<Self, ProcessorError> {
        if name.is_empty() {
            return Err(ProcessorError::NoName);
        }
        check_speed(name, speed)?;
        let name = name.to_owned();
        if cores == 0 {
            return Err(ProcessorError::NoCores { name });
        }
        if memory == 0 {
            return Err(ProcessorError::NoMemory { name });
        }
        Ok(Processor {
            name: name.into(),
            kind,
            speed,
            cores,
            memory_total: memory,
            memory_used: 0,
            running: 0,
        })
    }

    /// Name, unique within a computer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is called.
    pub fn kind(&self) -> ProcessorKind {
        self.kind
    }

    /// Operations per second and core.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Changes the operations per second and core, from here on.
    pub(super) fn set_speed(&mut self, speed: f64) -> Result<(), ProcessorError> {
        check_speed(&self.name, speed)?;
        self.speed = speed;
        Ok(())
    }

    /// Number of cores.
    pub fn cores(&self) -> u32 {
        self.cores
    }

    /// Bytes of memory.
    pub fn memory_total(&self) -> u64 {
        self.memory_total
    }

    /// Bytes held by running tasks.
    pub fn memory_used(&self) -> u64 {
        self.memory_used
    }

    /// Bytes that the next task may take.
    #[inline]
    pub fn memory_free(&self) -> u64 {
        self.memory_total - self.memory_used
    }

    /// Tasks that run, over all containers.
    #[inline]
    pub fn running(&self) -> u32 {
        self.running
    }

    /// Takes `bytes` for one more running task.
    #[inline]
    pub fn allocate(&mut self, bytes: u64) -> Result<(), MemoryError> {
        let free = self.memory_free();
        if bytes > free {
            return Err(MemoryError::Insufficient { asked: bytes, free });
        }
        self.memory_used += bytes;
        self.running += 1;
        Ok(())
    }

    /// Gives back the `bytes` of a task that stopped running.
    #[inline]
    pub fn free(&mut self, bytes: u64) -> Result<(), MemoryError> {
        if bytes > self.memory_used || self.running == 0 {
            return Err(MemoryError::NotHeld {
                given: bytes,
                used: self.memory_used,
                running: self.running,
            });
        }
        self.memory_used -= bytes;
        self.running -= 1;
        Ok(())
    }

    /// Operations per second that each running task gets: a core of its own while there are
    /// enough, an equal share of all of them beyond; 0 when nothing runs.
    #[inline]
    pub fn rate(&self) -> f64 {
        match self.running {
            0 => 0.0,
            running => f64::from(self.cores.min(running)) * self.speed / f64::from(running),
        }
    }

    /// The rate that `running` tasks would get, in the single precision of the C++ reference;
    /// `running` must not be 0.
    pub(super) fn rate_in_single(&self, running: u32) -> f32 {
        self.cores.min(running) as f32 * self.speed as f32 / running as f32
    }
}

fn check_speed(name: &str, speed: f64) -> Result<(), ProcessorError> {
    let single = speed as f32;
    if single.is_finite() && single > 0.0 {
        return Ok(());
    }
    Err(ProcessorError::Speed {
        name: name.to_owned(),
        speed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor() -> Processor {
        Processor::new("cpu1", ProcessorKind::GenericCpu, 10.0, 1, 100).unwrap()
    }

    #[test]
    fn p1_all_memory_is_free_at_first() {
        let p = processor();
        let memory = (p.memory_total(), p.memory_used(), p.memory_free());
        assert_eq!(memory, (100, 0, 100));
    }

    #[test]
    fn p2_memory_is_taken_and_given_back() {
        let mut p = processor();
        p.allocate(10).unwrap();
        assert_eq!((p.memory_used(), p.memory_free()), (10, 90));
        p.allocate(90).unwrap();
        assert_eq!((p.memory_used(), p.memory_free()), (100, 0));
        p.free(40).unwrap();
        assert_eq!((p.memory_used(), p.memory_free()), (60, 40));
    }

    #[test]
    fn p3_memory_that_is_not_there_is_an_error_and_changes_nothing() {
        let mut p = processor();
        p.allocate(60).unwrap();
        let not_held = MemoryError::NotHeld {
            given: 61,
            used: 60,
            running: 1,
        };
        assert_eq!(p.free(61), Err(not_held));
        let insufficient = MemoryError::Insufficient {
            asked: 41,
            free: 40,
        };
        assert_eq!(p.allocate(41), Err(insufficient));
        assert_eq!((p.memory_used(), p.running()), (60, 1));
        assert!(processor().free(0).is_err());
    }

    #[test]
    fn a_task_gets_at_most_one_core() {
        let mut p = Processor::new("cpu", ProcessorKind::GenericGpu, 10.0, 2, 100).unwrap();
        let mut rates = vec![p.rate()];
        for _ in 0..4 {
            p.allocate(1).unwrap();
            rates.push(p.rate());
        }
        assert_eq!(rates, [0.0, 10.0, 10.0, 20.0 / 3.0, 5.0]);
        assert_eq!(p.rate_in_single(3), 20.0_f32 / 3.0);
    }

    #[test]
    fn impossible_processors_are_refused() {
        let new = |name, speed, cores, memory| {
            Processor::new(name, ProcessorKind::GenericCpu, speed, cores, memory)
        };
        assert_eq!(new("", 1.0, 1, 1).unwrap_err(), ProcessorError::NoName);
        for speed in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300, 1e-300] {
            let error = new("p", speed, 1, 1).unwrap_err();
            assert!(matches!(error, ProcessorError::Speed { .. }), "{speed}");
        }
        let name = || "p".to_owned();
        assert_eq!(
            new("p", 1.0, 0, 1).unwrap_err(),
            ProcessorError::NoCores { name: name() }
        );
        assert_eq!(
            new("p", 1.0, 1, 0).unwrap_err(),
            ProcessorError::NoMemory { name: name() }
        );
    }
}
