//! What a restarted proxy makes of the lines that it finds.

use std::collections::BTreeMap;

use super::{Accepted, Line};
use crate::activation::ActivationId;

/// Accepted invocations that have not ended, and how far they got.
#[derive(Debug, Default)]
pub(crate) struct Read {
    unfinished: BTreeMap<ActivationId, (Accepted, bool)>,
}

impl Read {
    /// Hears of a line; returns what it says of other things.
    pub(crate) fn hear(&mut self, line: Line) -> Option<Line> {
        match line {
            Line::Accepted(accepted) => {
                self.unfinished.insert(accepted.id, (accepted, false));
                None
            }
            Line::Begun(id) => {
                self.begun(id, true);
                None
            }
            Line::Returned(id) => {
                self.begun(id, false);
                None
            }
            Line::Ended(activation) => {
                self.unfinished.remove(&activation.id);
                Some(Line::Ended(activation))
            }
            Line::Void(id) => {
                self.unfinished.remove(&id);
                None
            }
            other => Some(other),
        }
    }

    fn begun(&mut self, id: ActivationId, has_begun: bool) {
        if let Some((_, begun)) = self.unfinished.get_mut(&id) {
            *begun = has_begun;
        }
    }

    /// Those that were never sent to a platform, oldest first, and those that were.
    pub(crate) fn finish(self) -> (Vec<Accepted>, Vec<Accepted>) {
        let (begun, waiting): (Vec<_>, Vec<_>) =
            self.unfinished.into_values().partition(|(_, begun)| *begun);
        let only = |pairs: Vec<(Accepted, bool)>| {
            let mut all: Vec<_> = pairs.into_iter().map(|(accepted, _)| accepted).collect();
            all.sort_by_key(|accepted| accepted.at_ms);
            all
        };
        (only(waiting), only(begun))
    }
}
