//! Time passing: contexts that nobody serves, nobody can reach, or nobody asks about any more.

use super::{Book, ContextId, Standing};
use crate::model::Profile;

/// How long contexts are kept, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ages {
    /// Without any computer that serves them; those of the older interface are kept.
    pub(crate) unserved_ms: u64,
    /// When notifications do not arrive.
    pub(crate) unreachable_ms: u64,
    /// Without a sign of life.
    pub(crate) idle_ms: u64,
}

impl Book {
    /// Deletes the contexts that are kept no longer, and tells their owners.
    pub(crate) fn sweep(&mut self, ages: Ages, now_ms: u64) {
        let over = |since_ms: u64, age_ms: u64| now_ms.saturating_sub(since_ms) >= age_ms;
        let due = |context: &super::Context| {
            let unserved = context.request.profile == Profile::Standard
                && context
                    .unserved_since_ms
                    .is_some_and(|since| over(since, ages.unserved_ms));
            let unreachable = match context.standing {
                Standing::Unreachable { since_ms, .. } => over(since_ms, ages.unreachable_ms),
                Standing::Reachable => false,
            };
            unserved || unreachable || over(context.seen_ms, ages.idle_ms)
        };
        let contexts = self.contexts.iter().filter(|(_, context)| due(context));
        let due: Vec<ContextId> = contexts.map(|(id, _)| *id).collect();
        for id in due {
            self.withdraw(id);
        }
    }
}
