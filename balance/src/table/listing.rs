//! Entries of a table in order, for those who show it.

use super::lambda::Named;
use super::order::Order;
use super::{Lambda, TableEntry};
use crate::route::SharedRoute;
use crate::sorted::Sorted;
use std::sync::Arc;

/// Some entries of a [table](super::ForwardingTable::list), sorted by lambda then destination, which
/// can be taken in portions. Which lambdas there are, and how many routes each has, is as it was when
/// the listing began; its routes are those of when its turn comes.
#[derive(Debug)]
pub struct Listing {
    order: Order,
    next: usize,
    end: usize,
    /// The lambda whose turn it is, if it has many routes: its turn may last for several portions.
    many: Option<(Arc<Lambda>, Sorted<Named>)>,
}

impl Listing {
    pub(super) fn new(order: Order, offset: usize, limit: usize) -> Self {
        let total = order.routes();
        let next = offset.min(total);
        Listing {
            order,
            next,
            end: next + limit.min(total - next),
            many: None,
        }
    }

    /// The number of entries in the whole table.
    #[must_use]
    pub fn total(&self) -> usize {
        self.order.routes()
    }

    /// The number of entries that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.end - self.next
    }

    /// The next `count` entries or a few more, as long as some are left.
    pub fn take(&mut self, count: usize) -> Vec<TableEntry> {
        let mut taken = Vec::with_capacity(count.min(self.left()));
        for (lambda, skipped, routes) in self.order.from(self.next) {
            let left = routes.min(self.end - self.next);
            let wanted = count.saturating_sub(taken.len());
            if left == 0 || wanted == 0 {
                break;
            }
            let entry = |route: &SharedRoute| lambda.entry(route);
            let known = self.many.take().filter(|(of, _)| Arc::ptr_eq(of, lambda));
            let many = known.map(|(_, names)| names).or_else(|| lambda.by_name());
            if let Some(names) = many {
                let listed = left.min(wanted);
                let named = names.iter_after(skipped).take(listed);
                taken.extend(named.map(|named| entry(&named.route)));
                self.next += listed;
                self.many = Some((Arc::clone(lambda), names));
            } else {
                let few = lambda.few_by_name();
                taken.extend(few.iter().skip(skipped).take(left).map(entry));
                self.next += left;
            }
        }
        taken
    }
}
