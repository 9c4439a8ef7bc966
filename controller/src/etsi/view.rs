//! What placement has to know of the computers and routers.

use std::collections::BTreeSet;

use edge_transport::Endpoint;
use mec_mx2::placement::Computer;

use crate::registry::Registry;

/// The computers that serve, and where the routers' tables are.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct View {
    pub(crate) computers: Vec<Computer>,
    pub(crate) tables: Vec<Endpoint>,
}

impl View {
    pub(crate) fn of(registry: &Registry) -> Self {
        let serving = registry.computers().iter().filter(|(_, c)| c.serves());
        let computers = serving.map(|(address, computer)| {
            let workers = computer.containers.iter().map(|c| c.workers.max(1));
            Computer {
                endpoint: address.to_string(),
                apps: computer.lambdas.iter().map(ToString::to_string).collect(),
                workers: workers.fold(0_u32, u32::saturating_add).max(1),
            }
        });
        Self {
            computers: computers.collect(),
            tables: registry
                .routers()
                .values()
                .map(|router| router.table.clone())
                .collect(),
        }
    }

    /// All lambdas that are served.
    pub(crate) fn apps(&self) -> BTreeSet<&str> {
        let computers = self.computers.iter();
        computers
            .flat_map(|c| c.apps.iter().map(String::as_str))
            .collect()
    }
}
