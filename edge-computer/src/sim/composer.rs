//! Makes a computer from a short description: a well-known platform by name, or a JSON file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::computer::{BuildError, Computer, ComputerBuilder};
use super::json::{JsonError, computer_from_json};
use super::lambda::Lambda;
use super::processor::{Processor, ProcessorKind};
use super::requirements::Requirements;

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
    try_from = "PlatformTable"
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
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file does not describe a computer.
    #[error("{}: {source}", path.display())]
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

/// The computer called `name` that `config` describes.
pub fn compose(name: &str, config: &PlatformConfig) -> Result<Computer, ComposeError> {
    match config {
        PlatformConfig::Raspberry {
            num_cpu_containers,
            num_cpu_workers,
            num_gpu_containers,
            num_gpu_workers,
        } => {
            need_workers(CPU_KEYS, *num_cpu_containers, *num_cpu_workers)?;
            need_workers(GPU_KEYS, *num_gpu_containers, *num_gpu_workers)?;
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
            need_workers(SERVER_KEYS, *num_containers, *num_workers)?;
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

fn need_workers(keys: [&'static str; 2], count: u32, workers: u32) -> Result<(), ComposeError> {
    if count > 0 && workers == 0 {
        let [containers, workers] = keys;
        return Err(ComposeError::NoWorkers {
            workers,
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

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PlatformType {
    File,
    IntelServer,
    Raspberry,
}

/// The keys of all types side by side, as tables and configuration strings have them.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PlatformTable {
    #[serde(rename = "type")]
    kind: Option<PlatformType>,
    num_cpu_containers: Option<u32>,
    num_cpu_workers: Option<u32>,
    num_gpu_containers: Option<u32>,
    num_gpu_workers: Option<u32>,
    num_containers: Option<u32>,
    num_workers: Option<u32>,
    path: Option<PathBuf>,
}

impl TryFrom<PlatformTable> for PlatformConfig {
    type Error = String;

    fn try_from(table: PlatformTable) -> Result<Self, String> {
        let of_no_default =
            table.num_containers.is_some() || table.num_workers.is_some() || table.path.is_some();
        match table.kind {
            None if of_no_default => Err("missing field `type`: the default is `raspberry`, \
                 which has no key `num-containers`, `num-workers` or `path`"
                .to_owned()),
            None => Ok(PlatformConfig::Raspberry {
                num_cpu_containers: table.num_cpu_containers.unwrap_or(1),
                num_cpu_workers: table.num_cpu_workers.unwrap_or(4),
                num_gpu_containers: table.num_gpu_containers.unwrap_or(1),
                num_gpu_workers: table.num_gpu_workers.unwrap_or(2),
            }),
            Some(PlatformType::Raspberry) => {
                let cpu = table.num_cpu_containers;
                let gpu = table.num_gpu_containers;
                let (num_cpu_containers, num_cpu_workers) =
                    group("raspberry", CPU_KEYS, cpu, table.num_cpu_workers)?;
                let (num_gpu_containers, num_gpu_workers) =
                    group("raspberry", GPU_KEYS, gpu, table.num_gpu_workers)?;
                Ok(PlatformConfig::Raspberry {
                    num_cpu_containers,
                    num_cpu_workers,
                    num_gpu_containers,
                    num_gpu_workers,
                })
            }
            Some(PlatformType::IntelServer) => {
                let count = table.num_containers;
                let (num_containers, num_workers) =
                    group("intel-server", SERVER_KEYS, count, table.num_workers)?;
                Ok(PlatformConfig::IntelServer {
                    num_containers,
                    num_workers,
                })
            }
            Some(PlatformType::File) => Ok(PlatformConfig::File {
                path: table.path.ok_or_else(|| missing("file", "path"))?,
            }),
        }
    }
}

/// Containers and workers; the latter count only where there are containers.
fn group(
    kind: &str,
    [containers_key, workers_key]: [&str; 2],
    containers: Option<u32>,
    workers: Option<u32>,
) -> Result<(u32, u32), String> {
    let containers = containers.ok_or_else(|| missing(kind, containers_key))?;
    match workers {
        None if containers > 0 => Err(missing(kind, workers_key)),
        workers => Ok((containers, workers.unwrap_or(0))),
    }
}

fn missing(kind: &str, key: &str) -> String {
    format!("missing field `{key}` of platform type `{kind}`")
}

#[cfg(test)]
mod tests;
