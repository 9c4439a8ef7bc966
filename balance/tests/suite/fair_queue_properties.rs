//! The fair queue under arbitrary operations, against what a list of waiters says.

use edge_balance::{Client, FairQueue, Key, LambdaKey, Nanos, QueueConfig, Waiter};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Operation {
    Push(Waiter),
    /// With these of the lambdas 0 to 3 having room.
    Pop([bool; 4]),
    /// One of those that ever waited.
    Remove(prop::sample::Index),
}

fn any_waiter() -> impl Strategy<Value = Waiter> {
    let parts = (0..6_u64, 0..3_u64, 0..4_u64, 0..3_u8);
    parts.prop_map(|(host, connection, lambda, priority)| Waiter {
        client: Client { host, connection },
        lambda: LambdaKey(lambda),
        priority,
        max_wait: None,
    })
}

fn any_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        5 => any_waiter().prop_map(Operation::Push),
        3 => any::<[bool; 4]>().prop_map(Operation::Pop),
        1 => any::<prop::sample::Index>().prop_map(Operation::Remove),
    ]
}

fn queue(max_waiting: usize, max_wait: Nanos) -> FairQueue<usize> {
    FairQueue::new(QueueConfig {
        max_waiting,
        max_wait,
    })
}

/// A queue and the list of those who wait there.
struct Both {
    queue: FairQueue<usize>,
    waiting: Vec<(Key, Waiter, usize)>,
    keys: Vec<Key>,
    now: Nanos,
}

impl Both {
    fn new(queue: FairQueue<usize>) -> Self {
        Both {
            queue,
            waiting: Vec::new(),
            keys: Vec::new(),
            now: Nanos::ZERO,
        }
    }

    /// Returns the item that left, whichever way.
    fn run(&mut self, number: usize, operation: &Operation) -> Option<usize> {
        self.now = self.now + Nanos::from_millis(number as u64 % 7);
        match operation {
            Operation::Push(waiter) => match self.queue.push(*waiter, number, self.now) {
                Ok(pushed) => {
                    self.keys.push(pushed.key);
                    self.waiting.push((pushed.key, *waiter, number));
                    let displaced = pushed.displaced?;
                    assert!(displaced.push_back >= Nanos::from_millis(1));
                    self.leaves(displaced.key, displaced.item);
                    Some(displaced.item)
                }
                Err(shed) => {
                    assert!(shed.push_back >= Nanos::from_millis(1));
                    assert_eq!(shed.item, number);
                    Some(shed.item)
                }
            },
            Operation::Pop(room) => self.pop(*room),
            Operation::Remove(index) => {
                let key = *self.keys.get(index.index(self.keys.len().max(1)))?;
                let waits = self.waiting.iter().any(|(other, _, _)| *other == key);
                let removed = self.queue.remove(key);
                assert_eq!(removed.is_some(), waits);
                self.leaves(key, removed?);
                removed
            }
        }
    }

    fn pop(&mut self, room: [bool; 4]) -> Option<usize> {
        let has_room = |lambda: LambdaKey| room[lambda.0 as usize];
        let mut asked = Vec::new();
        let popped = self.queue.pop(self.now, |lambda| {
            assert!(!asked.contains(&lambda));
            asked.push(lambda);
            has_room(lambda)
        });
        let able = self
            .waiting
            .iter()
            .filter(|(_, waiter, _)| has_room(waiter.lambda));
        let Some((key, item)) = popped else {
            assert_eq!(able.count(), 0);
            return None;
        };
        let highest = able.clone().map(|(_, waiter, _)| waiter.priority).max();
        let popped = able.clone().find(|(other, _, _)| *other == key);
        let (_, waiter, _) = *popped.expect("only who waits and has room is called up");
        assert_eq!(Some(waiter.priority), highest);
        let mut same = able.filter(|(_, other, _)| {
            (other.client, other.priority, other.lambda)
                == (waiter.client, waiter.priority, waiter.lambda)
        });
        assert_eq!(same.next().map(|(first, _, _)| *first), Some(key));
        self.leaves(key, item);
        Some(item)
    }

    fn leaves(&mut self, key: Key, item: usize) {
        let place = self.waiting.iter().position(|(other, _, _)| *other == key);
        let (_, _, known) = self.waiting.remove(place.expect("nobody leaves twice"));
        assert_eq!(item, known);
    }
}

proptest! {
    #[test]
    fn nobody_is_lost_and_no_bound_is_broken(
        operations in prop::collection::vec(any_operation(), 0..400),
        max_waiting in 1..30_usize,
        max_wait in (0..200_u64).prop_map(Nanos::from_millis),
    ) {
        let mut both = Both::new(queue(max_waiting, max_wait));
        let mut again = Both::new(queue(max_waiting, max_wait));
        for (number, operation) in operations.iter().enumerate() {
            let left = both.run(number, operation);
            prop_assert!(both.queue.len() <= max_waiting);
            prop_assert_eq!(both.queue.len(), both.waiting.len());
            prop_assert_eq!(both.queue.is_empty(), both.waiting.is_empty());
            // The same operations have the same result.
            prop_assert_eq!(left, again.run(number, operation));
        }
        while both.pop([true; 4]).is_some() {}
        prop_assert!(both.waiting.is_empty());
    }

    #[test]
    fn who_is_displaced_would_have_been_the_last(
        operations in prop::collection::vec(any_operation(), 0..200),
        last in any_waiter(),
    ) {
        // Up to the moment when it is longest, so that the full queue was not full before.
        let mut roomy = Both::new(queue(1000, Nanos::MAX));
        let lengths = operations.iter().enumerate().map(|(number, operation)| {
            roomy.run(number, operation);
            roomy.queue.len()
        });
        let longest = lengths.enumerate().max_by_key(|(_, length)| *length);
        let (end, most) = longest.filter(|(_, most)| *most > 0).unwrap_or_default();
        prop_assume!(most > 0);

        let mut roomy = Both::new(queue(most + 1, Nanos::MAX));
        let mut full = Both::new(queue(most, Nanos::MAX));
        for (number, operation) in operations[..=end].iter().enumerate() {
            roomy.run(number, operation);
            full.run(number, operation);
        }
        let number = operations.len();
        roomy.run(number, &Operation::Push(last));
        let displaced = full.run(number, &Operation::Push(last));
        prop_assert!(displaced.is_some());
        let order: Vec<_> = std::iter::from_fn(|| roomy.pop([true; 4])).collect();
        prop_assert_eq!(order.last().copied(), displaced);
    }
}
