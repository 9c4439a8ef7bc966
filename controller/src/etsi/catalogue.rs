//! The list of applications follows the lambdas that are served.

use std::collections::BTreeSet;
use std::sync::Arc;

use mec_mx2::Mx2;
use mec_mx2::model::{AppInfo, LAMBDA_PROVIDER, LAMBDA_VERSION};

use crate::fleet::Fleet;

/// Adds lambdas to the list as they appear, and takes them away as they disappear. What
/// was there for another reason stays.
pub(crate) async fn keep(fleet: Arc<Fleet>, state: Mx2) {
    let mut changes = fleet.changes();
    let mut ours = BTreeSet::new();
    loop {
        changes.borrow_and_update();
        let view = fleet.view();
        let served: BTreeSet<String> = view.apps().into_iter().map(str::to_owned).collect();
        for name in served.difference(&ours) {
            let Some(app) = AppInfo::lambda(name) else {
                tracing::warn!(
                    lambda = name,
                    "the name is too long for the list of applications"
                );
                continue;
            };
            if let Err(error) = state.add_app(app) {
                tracing::warn!(lambda = name, %error, "a lambda is not in the list of applications");
            }
        }
        for name in ours.difference(&served) {
            state.remove_app(name, LAMBDA_PROVIDER, LAMBDA_VERSION);
        }
        ours = served;
        if changes.changed().await.is_err() {
            return;
        }
    }
}
