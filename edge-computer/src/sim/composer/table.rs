//! The keys of a platform as they are written, and which of them its type needs.

use std::path::PathBuf;

use serde::Deserialize;

use super::{CPU_KEYS, GPU_KEYS, PlatformConfig, SERVER_KEYS};

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
pub(super) struct PlatformTable {
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
