//! A budget for refusals, so that in overload requests are not turned down in circles.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Tokens that can be saved up.
const MOST: f32 = 10.0;

/// Each request adds a share of a token, each refusal takes one; with less than one left requests
/// go out unconditionally. So refusals add at most that share to the messages of a broker, whatever
/// its destinations do.
#[derive(Debug)]
pub(crate) struct RefusalBudget {
    /// f32.
    tokens: AtomicU32,
}

impl Default for RefusalBudget {
    fn default() -> Self {
        RefusalBudget {
            tokens: AtomicU32::new(MOST.to_bits()),
        }
    }
}

impl RefusalBudget {
    /// Notes a request that may be turned down; `share` of a token per request.
    pub(crate) fn deposit(&self, share: f32) {
        // It usually is full, and then there is nothing to write.
        if f32::from_bits(self.tokens.load(Relaxed)) < MOST {
            self.change(share);
        }
    }

    /// Notes a refusal.
    pub(crate) fn spend(&self) {
        self.change(-1.0);
    }

    /// How much of the budget is left, from 0 to 1; `None` when a refusal cannot be afforded.
    pub(crate) fn left(&self) -> Option<f32> {
        let tokens = f32::from_bits(self.tokens.load(Relaxed));
        (tokens >= 1.0).then_some(tokens / MOST)
    }

    fn change(&self, by: f32) {
        let _ = self.tokens.fetch_update(Relaxed, Relaxed, |bits| {
            // Several cores may overdraw it by a token each, never beyond.
            Some((f32::from_bits(bits) + by).clamp(-MOST, MOST).to_bits())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_a_share_of_requests() {
        let budget = RefusalBudget::default();
        let mut refusals = 0;
        for _ in 0..1000 {
            budget.deposit(0.2);
            if budget.left().is_some() {
                budget.spend();
                refusals += 1;
            }
        }
        assert!((200..=210).contains(&refusals), "{refusals}");
    }
}
