//! The budget of a router for retries, told of many requests at a time.

use edge_balance::{Nanos, RetryBudget};

/// Brokers tell their budget of each request, for which their cores have to agree. A simulated router
/// counts requests as long as they make no difference to each other and nobody wants to know.
#[derive(Debug)]
pub(super) struct Budget {
    budget: RetryBudget,
    /// Requests that the budget does not know of yet.
    untold: u32,
    /// When the first of them came, and until when others count like that one.
    first: Nanos,
    until: Nanos,
}

impl Budget {
    pub(super) fn new(budget: RetryBudget) -> Self {
        Budget {
            budget,
            untold: 0,
            first: Nanos::ZERO,
            until: Nanos::ZERO,
        }
    }

    /// Notes a request, none of which comes before the last one.
    #[inline]
    pub(super) fn deposit(&mut self, now: Nanos) {
        if now >= self.until {
            self.tell();
            self.first = now;
            self.until = self.budget.alike_until(now);
        }
        self.untold += 1;
    }

    fn tell(&mut self) {
        if self.untold > 0 {
            self.budget.deposit_many(self.untold, self.first);
            self.untold = 0;
        }
    }

    /// Whether one more retry is allowed; if so it is taken.
    pub(super) fn try_withdraw(&mut self, now: Nanos) -> bool {
        self.tell();
        self.budget.try_withdraw(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_allows_what_a_budget_does_that_is_told_of_each_request() {
        let new = || RetryBudget::new(0.2, 0.1, Nanos::from_secs(10));
        let (each, mut many) = (new(), Budget::new(new()));
        let mut granted = 0;
        for request in 0..20_000_u64 {
            // Sometimes nobody comes for a while.
            let now = Nanos::from_millis(3 * request + request / 1000 * 7000);
            each.deposit(now);
            many.deposit(now);
            if request % 4 == 0 {
                let allowed = each.try_withdraw(now);
                assert_eq!(many.try_withdraw(now), allowed, "{request}");
                granted += u64::from(allowed);
            }
        }
        assert!((3_000..5_000).contains(&granted), "{granted}");
    }
}
