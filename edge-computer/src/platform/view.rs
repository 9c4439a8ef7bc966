//! What others get to see of the simulated computer.

use edge_proto::rpc::computer_info;

use crate::executor::{ContainerSnapshot, ProcessorSnapshot, Snapshot};
use crate::sim::Computer;

pub(super) fn containers(computer: &mut Computer) -> Vec<computer_info::Container> {
    computer
        .containers()
        .map(|container| computer_info::Container {
            name: container.name.to_owned(),
            processor: container.processor.to_owned(),
            lambda: container.lambda.to_owned(),
            num_workers: container.num_workers,
        })
        .collect()
}

pub(super) fn snapshot(computer: &mut Computer) -> Snapshot {
    let processors = computer.processors().map(|p| ProcessorSnapshot {
        name: p.name.to_owned(),
        kind: p.kind.to_string(),
        cores: p.cores,
        speed: p.speed,
        memory_bytes: p.memory_total,
        memory_used_bytes: p.memory_used,
        running: p.running,
        utilization: p.loads.load1,
    });
    let containers = computer.containers().map(|container| {
        let status = computer.status(container.lambda);
        ContainerSnapshot {
            name: container.name.to_owned(),
            processor: container.processor.to_owned(),
            lambda: container.lambda.to_owned(),
            workers: container.num_workers,
            active: status.map_or(0, |status| status.active),
            pending: status.map_or(0, |status| status.pending),
        }
    });
    Snapshot {
        name: computer.name().to_owned(),
        processors: processors.collect(),
        containers: containers.collect(),
        backends: Vec::new(),
    }
}
