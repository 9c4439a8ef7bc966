//! Makes a computer from a short description: a well-known platform by name, or a JSON file.

mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::computer::{BuildError, Computer, ComputerBuilder};
use super::json::{JsonError, computer_from_json};
use super::lambda::Lambda;
use super::processor::{Processor, ProcessorKind};
use super::requirements::Requirements;

/// Most containers of a well-known platform on one processor.
const MAX_CONTAINERS: u32 = 100_000;

/// Which platform to simulate.
///
/// As a table or configuration string it is written with a `type` of `raspberry`, `intel-server`
/// or `file` and the keys of that type, all of which are needed; the numbers of workers only where
/// there are containers; keys of the other types are then ignored. Without `type` the keys are
/// merged over the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    try_from = "table::PlatformTable"
)]
pub enum PlatformConfig {
    /// A small board: processor `arm` with four cores and processor `bm2837` with one, 1e11
    /// operations per second and core, 512 MiB each.
    Raspberry {
        /// Containers `ccontainerN` for lambdas `clambdaN` on `arm`.
        num_cpu_containers: u32,
        /// Workers of each of them.
        num_cpu_workers: u32,
        /// Containers `gcontainerN` for lambdas `glambdaN` on `bm2837`.
        num_gpu_containers: u32,
        /// Workers of each of them.
        num_gpu_workers: u32,
    },
    /// A server: processor `xeon` with 20 cores of 4e9 operations per second and 128 GiB.
    IntelServer {
        /// Containers `ccontainerN` for lambdas `clambdaN`.
        num_containers: u32,
        /// Workers of each of them.
        num_workers: u32,
    },
    /// What a JSON file describes; see [`super::computer_from_json`].
    File {
        /// The file.
        path: PathBuf,
    },
}

impl Default for PlatformConfig {
    /// A Raspberry with one container of four workers and one of two.
    fn default() -> Self {
        PlatformConfig::Raspberry {
            num_cpu_containers: 1,
            num_cpu_workers: 4,
            num_gpu_containers: 1,
            num_gpu_workers: 2,
        }
    }
}

/// Why no computer can be made of a configuration.
#[derive(Debug, Error)]
pub enum ComposeError {
    /// There are containers, but without workers.
    #[error("{workers} is 0, must be at least 1 since {containers} is {count}")]
    NoWorkers {
        /// The key that is 0.
        workers: &'static str,
        /// The key that is not.
        containers: &'static str,
        /// Its value.
        count: u32,
    },
    /// There are more containers than a computer can announce in one piece.
    #[error("{containers} is {count}, must be at most {MAX_CONTAINERS}")]
    TooMany {
        /// The key that is too large.
        containers: &'static str,
        /// Its value.
        count: u32,
    },
    /// The file cannot be read.
    #[error("cannot read platform file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file does not describe a computer.
    #[error("platform file {} describes no computer", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: JsonError,
    },
    /// The parts do not fit together.
    #[error(transparent)]
    Platform(#[from] BuildError),
}

impl ComposeError {
    /// The key of the section `platform` that is to be looked at, dotted.
    pub fn key(&self) -> &'static str {
        match self {
            Self::NoWorkers { containers, .. } | Self::TooMany { containers, .. } => {
                match *containers {
                    "num-cpu-containers" => "platform.num-cpu-containers",
                    "num-gpu-containers" => "platform.num-gpu-containers",
                    _ => "platform.num-containers",
                }
            }
            Self::Unreadable { .. } | Self::File { .. } => "platform.path",
            Self::Platform(_) => "platform.type",
        }
    }
}

/// The computer called `name` that `config` describes.
pub fn compose(name: &str, config: &PlatformConfig) -> Result<Computer, ComposeError> {
    match config {
        PlatformConfig::Raspberry {
            num_cpu_containers,
            num_cpu_workers,
            num_gpu_containers,
            num_gpu_workers,
        } => {
            check_numbers(CPU_KEYS, *num_cpu_containers, *num_cpu_workers)?;
            check_numbers(GPU_KEYS, *num_gpu_containers, *num_gpu_workers)?;
            raspberry(
                name,
                (*num_cpu_containers, *num_cpu_workers),
                (*num_gpu_containers, *num_gpu_workers),
            )
            .map_err(ComposeError::from)
        }
        PlatformConfig::IntelServer {
            num_containers,
            num_workers,
        } => {
            check_numbers(SERVER_KEYS, *num_containers, *num_workers)?;
            intel_server(name, *num_containers, *num_workers).map_err(ComposeError::from)
        }
        PlatformConfig::File { path } => {
            let text =
                std::fs::read_to_string(path).map_err(|source| ComposeError::Unreadable {
                    path: path.clone(),
                    source,
                })?;
            computer_from_json(name, &text).map_err(|source| ComposeError::File {
                path: path.clone(),
                source,
            })
        }
    }
}

const CPU_KEYS: [&str; 2] = ["num-cpu-containers", "num-cpu-workers"];
const GPU_KEYS: [&str; 2] = ["num-gpu-containers", "num-gpu-workers"];
const SERVER_KEYS: [&str; 2] = ["num-containers", "num-workers"];

fn check_numbers(keys: [&'static str; 2], count: u32, workers: u32) -> Result<(), ComposeError> {
    let [containers, worker_key] = keys;
    if count > MAX_CONTAINERS {
        return Err(ComposeError::TooMany { containers, count });
    }
    if count > 0 && workers == 0 {
        return Err(ComposeError::NoWorkers {
            workers: worker_key,
            containers,
            count,
        });
    }
    Ok(())
}

fn raspberry(name: &str, cpu: (u32, u32), gpu: (u32, u32)) -> Result<Computer, BuildError> {
    let memory = 1 << 29;
    let mut builder = Computer::builder(name);
    builder.add_processor(Processor::new(
        "arm",
        ProcessorKind::GenericCpu,
        1e11,
        4,
        memory,
    )?)?;
    builder.add_processor(Processor::new(
        "bm2837",
        ProcessorKind::GenericGpu,
        1e11,
        1,
        memory,
    )?)?;
    add_containers(&mut builder, 'c', "arm", 4e6, cpu)?;
    add_containers(&mut builder, 'g', "bm2837", 1e6, gpu)?;
    Ok(builder.build())
}

fn intel_server(name: &str, containers: u32, workers: u32) -> Result<Computer, BuildError> {
    let memory = 128 << 30;
    let mut builder = Computer::builder(name);
    builder.add_processor(Processor::new(
        "xeon",
        ProcessorKind::GenericCpu,
        4e9,
        20,
        memory,
    )?)?;
    add_containers(&mut builder, 'c', "xeon", 4e6, (containers, workers))?;
    Ok(builder.build())
}

fn add_containers(
    builder: &mut ComputerBuilder,
    prefix: char,
    processor: &str,
    op_offset: f32,
    (count, workers): (u32, u32),
) -> Result<(), BuildError> {
    let requirements = Requirements::Proportional {
        op_coeff: 1e6,
        op_offset,
        mem_coeff: 100.0,
        mem_offset: 0.0,
    };
    for id in 0..count {
        let container = format!("{prefix}container{id}");
        let lambda = Lambda::copying(&format!("{prefix}lambda{id}"), requirements);
        builder.add_container(&container, processor, lambda, workers)?;
    }
    Ok(())
}
