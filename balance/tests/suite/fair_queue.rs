//! The fair queue under steady load, on virtual time: who is called up how often, and after how long.

use crate::{seconds, seeded};
use edge_balance::{Client, FairQueue, Key, LambdaKey, Nanos, QueueConfig, Waiter};
use rand::RngExt;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

fn waiter(host: u64, connection: u64, lambda: u64, priority: u8) -> Waiter {
    Waiter {
        client: Client { host, connection },
        lambda: LambdaKey(lambda),
        priority,
        max_wait: None,
    }
}

fn bounds(max_waiting: usize, max_wait: Nanos) -> QueueConfig {
    QueueConfig {
        max_waiting,
        max_wait,
    }
}

/// What became of the requests of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    offered: f64,
    served: f64,
    longest_wait: Nanos,
}

/// Clients that send at random, and places that are given back at a steady pace.
struct Load {
    queue: FairQueue<(usize, Nanos)>,
    /// Pops per second.
    pace: f64,
    /// By kind.
    outcomes: Vec<Outcome>,
    /// Foretold waits and what they came to.
    foretold: BTreeMap<Key, Nanos>,
    waits: Vec<(Nanos, Nanos)>,
}

impl Load {
    fn new(config: QueueConfig, pace: f64) -> Self {
        Load {
            queue: FairQueue::new(config),
            pace,
            outcomes: Vec::new(),
            foretold: BTreeMap::new(),
            waits: Vec::new(),
        }
    }

    /// Runs for so many pops; each kind of request comes at a rate per second, from whom `make` says
    /// (given the number of the request).
    fn run(mut self, pops: u32, kinds: &[(f64, &dyn Fn(u64) -> Waiter)]) -> Self {
        let mut rng = seeded(3);
        let mut pause = |rate: f64| seconds(-(1.0 - rng.random::<f64>()).ln() / rate);
        self.outcomes = vec![Outcome::default(); kinds.len()];
        let mut next: Vec<Nanos> = kinds.iter().map(|(rate, _)| pause(*rate)).collect();
        let mut requests = 0;
        for pop in 1..=pops {
            let now = seconds(f64::from(pop) / self.pace);
            while let Some((kind, at)) = (0..).zip(next.iter().copied()).min_by_key(|(_, at)| *at)
                && at <= now
            {
                requests += 1;
                self.send(kind, kinds[kind].1(requests), at);
                next[kind] = at + pause(kinds[kind].0);
            }
            if let Some((key, (kind, since))) = self.queue.pop(now, |_| true) {
                let outcome = &mut self.outcomes[kind];
                outcome.served += 1.0;
                outcome.longest_wait = outcome.longest_wait.max(now - since);
                self.waits
                    .push((self.foretold.remove(&key).unwrap(), now - since));
            }
        }
        self
    }

    fn send(&mut self, kind: usize, waiter: Waiter, now: Nanos) {
        self.outcomes[kind].offered += 1.0;
        if let Ok(pushed) = self.queue.push(waiter, (kind, now), now) {
            self.foretold.insert(pushed.key, pushed.expected_wait);
            if let Some(displaced) = pushed.displaced {
                self.foretold.remove(&displaced.key);
            }
        }
    }
}

/// Jain's index: 1 if all got the same, 1/n if one got it all.
fn fairness(outcomes: &[Outcome]) -> f64 {
    let sum: f64 = outcomes.iter().map(|outcome| outcome.served).sum();
    let squares: f64 = outcomes.iter().map(|outcome| outcome.served.powi(2)).sum();
    sum * sum / (squares * outcomes.len() as f64)
}

/// One host that offers ten times what each of nine others does; per second.
fn greedy_and_modest(config: QueueConfig, modest: f64) -> Vec<Outcome> {
    let from: Vec<_> = (0..10)
        .map(|host| move |_: u64| waiter(host, 0, 1, 0))
        .collect();
    let rate = |host| if host == 0 { 10.0 * modest } else { modest };
    let kinds: Vec<(f64, &dyn Fn(u64) -> Waiter)> = (0..10)
        .map(|host| (rate(host), &from[host] as &dyn Fn(u64) -> Waiter))
        .collect();
    Load::new(config, 1000.0).run(50_000, &kinds).outcomes
}

const CONFIGS: [QueueConfig; 3] = [
    QueueConfig {
        max_waiting: 1024,
        max_wait: Nanos::from_millis(100),
    },
    QueueConfig {
        max_waiting: 1024,
        max_wait: Nanos::MAX,
    },
    QueueConfig {
        max_waiting: 40,
        max_wait: Nanos::MAX,
    },
];

#[test]
fn offering_ten_times_as_much_gets_nobody_more_than_a_share() {
    for config in CONFIGS {
        let outcomes = greedy_and_modest(config, 150.0);
        let fairness = fairness(&outcomes);
        println!("{config:?}: fairness {fairness:.4}");
        assert!(fairness >= 0.98, "{config:?}: {fairness} {outcomes:?}");
    }
}

#[test]
fn who_wants_less_than_a_share_gets_it_and_soon() {
    for config in CONFIGS {
        let outcomes = greedy_and_modest(config, 80.0);
        for modest in &outcomes[1..] {
            assert!(
                modest.served >= 0.99 * modest.offered,
                "{config:?}: {modest:?}"
            );
            println!("{config:?}: longest wait {:?}", modest.longest_wait);
            assert!(modest.longest_wait <= Nanos::from_millis(100), "{modest:?}");
        }
        // Nothing is lost either: the greedy one gets the rest.
        let served: f64 = outcomes.iter().map(|outcome| outcome.served).sum();
        assert!(served >= 0.995 * 50_000.0, "{config:?}: {served}");
    }
}

#[test]
fn a_hundred_connections_get_a_host_no_more_than_one_does() {
    for config in CONFIGS {
        let one = |_| waiter(1, 0, 1, 0);
        let hundred = |request| waiter(2, request % 100, 1, 0);
        let fresh = |request| waiter(3, request, 1, 0);
        let kinds: [(f64, &dyn Fn(u64) -> Waiter); 3] =
            [(1000.0, &one), (3000.0, &hundred), (3000.0, &fresh)];
        let outcomes = Load::new(config, 1000.0).run(30_000, &kinds).outcomes;
        let fairness = fairness(&outcomes);
        println!("{config:?}: fairness {fairness:.4}");
        assert!(fairness >= 0.99, "{config:?}: {outcomes:?}");
    }
}

#[test]
fn connections_of_a_host_share_equally() {
    let config = bounds(200, Nanos::MAX);
    let greedy = |_| waiter(1, 0, 1, 0);
    let modest = |_| waiter(1, 1, 1, 0);
    let kinds: [(f64, &dyn Fn(u64) -> Waiter); 2] = [(5000.0, &greedy), (400.0, &modest)];
    let outcomes = Load::new(config, 1000.0).run(30_000, &kinds).outcomes;
    assert!(
        outcomes[1].served >= 0.99 * outcomes[1].offered,
        "{outcomes:?}"
    );
}

#[test]
fn a_lambda_that_fills_the_line_keeps_no_other_one_of_its_connection_waiting() {
    let mut queue = FairQueue::new(bounds(1000, Nanos::from_millis(500)));
    let at = |pop: u64| Nanos::from_millis(10 * pop);
    // As many as can be served within the bound, for a lambda whose pace is known.
    let push = |queue: &mut FairQueue<u64>, lambda, now| {
        let pushed = queue.push(waiter(1, 0, lambda, 0), lambda, now);
        pushed.is_ok()
    };
    for _ in 0..40 {
        assert!(push(&mut queue, 1, at(0)));
    }
    let mut pop = 1;
    while pop < 10 {
        assert_eq!(queue.pop(at(pop), |_| true).map(|(_, item)| item), Some(1));
        pop += 1;
    }
    while push(&mut queue, 1, at(pop)) {}
    assert!(queue.len() > 40);
    // Its neighbour's turn comes after one of its own at the most.
    assert!(push(&mut queue, 2, at(pop)), "it need not expect to wait");
    let next = [pop, pop + 1].map(|pop| queue.pop(at(pop), |_| true).unwrap().1);
    assert!(next.contains(&2), "{next:?}");
}

#[test]
fn higher_priorities_go_first() {
    let config = bounds(100, Nanos::MAX);
    let high = |request| waiter(request, 0, 1, 9);
    let low = |_| waiter(1, 0, 2, 3);
    let kinds: [(f64, &dyn Fn(u64) -> Waiter); 2] = [(700.0, &high), (5000.0, &low)];
    let outcomes = Load::new(config, 1000.0).run(30_000, &kinds).outcomes;
    // But for the last of them, for whom the test ends too early.
    assert!(
        outcomes[0].served >= outcomes[0].offered - 20.0,
        "{outcomes:?}"
    );
    // Nothing is ahead of it but its like.
    assert!(
        outcomes[0].longest_wait < Nanos::from_millis(20),
        "{outcomes:?}"
    );
    assert!(outcomes[1].served > 0.99 * 0.3 * 30_000.0, "{outcomes:?}");
}

#[test]
fn nobody_starves_among_newcomers() {
    for fresh_hosts in [false, true] {
        let mut queue = FairQueue::new(bounds(100, Nanos::MAX));
        for item in 0..50 {
            queue.push(waiter(0, 0, 1, 0), item, Nanos::ZERO).unwrap();
        }
        // Newcomers, of hosts or of connections of one host, come faster than they can be served.
        let mut last_of_the_first = 0;
        for pop in 1..20_000_u64 {
            for item in [2 * pop, 2 * pop + 1] {
                let host = if fresh_hosts { 100 + item } else { 1 };
                let _ = queue.push(waiter(host, item, 1, 0), 1000 + item, Nanos::ZERO);
            }
            let (_, item) = queue.pop(Nanos::ZERO, |_| true).unwrap();
            if item < 50 {
                assert!(pop - last_of_the_first <= 200, "{pop}, {last_of_the_first}");
                last_of_the_first = pop;
            }
        }
        // All of them had their turn, or were the least entitled of a full queue.
        assert!(last_of_the_first > 0);
    }
}

#[test]
fn a_lambda_without_room_holds_up_nobody_and_keeps_its_turn() {
    let mut queue = FairQueue::new(QueueConfig::default());
    let mut push = |host, lambda, priority, item| {
        let pushed = queue.push(waiter(host, 0, lambda, priority), item, Nanos::ZERO);
        pushed.unwrap();
    };
    push(1, 1, 9, "full");
    push(1, 2, 0, "first");
    push(1, 1, 0, "full, low");
    push(2, 2, 0, "second");
    push(2, 2, 0, "third");
    let mut pop = |full: bool| {
        let mut asked = BTreeMap::new();
        let popped = queue.pop(Nanos::ZERO, |lambda| {
            *asked.entry(lambda).or_insert(0) += 1;
            !(full && lambda == LambdaKey(1))
        });
        assert!(asked.values().all(|times| *times == 1), "{asked:?}");
        popped.map(|(_, item)| item)
    };
    assert_eq!(pop(true), Some("first"));
    assert_eq!(pop(true), Some("second"));
    assert_eq!(pop(false), Some("full"));
    assert_eq!(pop(true), Some("third"));
    assert_eq!(pop(true), None);
    assert_eq!(pop(false), Some("full, low"));
    assert_eq!(pop(false), None);
}

/// The share of those who were to wait for at least ten pops whose wait was within these multiples
/// of what was foretold.
fn foretold(load: f64, pace: f64, multiples: RangeInclusive<f64>) -> f64 {
    let longest = seconds(40.0 / pace);
    let from = |request| waiter(request * 7 % 20, request % 3, 1, 0);
    let kinds: [(f64, &dyn Fn(u64) -> Waiter); 1] = [(load * pace, &from)];
    let run = Load::new(bounds(10_000, longest), pace).run(20_000, &kinds);
    let serious = run
        .waits
        .iter()
        .filter(|(foretold, _)| *foretold >= seconds(10.0 / pace));
    let ratios: Vec<_> = serious
        .map(|(foretold, real)| real.as_secs_f64() / foretold.as_secs_f64())
        .collect();
    assert!(ratios.len() > 500, "{}", ratios.len());
    let right = ratios
        .iter()
        .filter(|ratio| multiples.contains(ratio))
        .count();
    right as f64 / ratios.len() as f64
}

#[test]
fn waits_are_foretold_within_a_factor_of_two() {
    for pace in [50.0, 1000.0] {
        let share = foretold(0.95, pace, 0.5..=2.0);
        assert!(share >= 0.95, "{share}");
    }
}

#[test]
fn in_overload_few_wait_for_twice_as_long_as_foretold() {
    for load in [1.1, 2.0] {
        let share = foretold(load, 1000.0, 0.0..=2.0);
        println!("load {load}: {share:.3}");
        assert!(share >= 0.85, "load {load}: {share}");
    }
}

#[test]
fn who_would_wait_for_too_long_is_told_when_to_come_back() {
    let mut queue = FairQueue::new(bounds(1000, Nanos::from_millis(100)));
    let mut push = |host, now| queue.push(waiter(host, 0, 1, 0), host, Nanos::from_millis(now));
    // The pace is not known yet.
    for host in 0..50 {
        assert_eq!(push(host, 0).unwrap().expected_wait, Nanos::ZERO);
    }
    for pop in 1..=10 {
        queue.pop(Nanos::from_millis(pop * 10), |_| true).unwrap();
    }
    let now = Nanos::from_millis(100);
    let shed = queue.push(waiter(99, 0, 1, 0), 99, now).unwrap_err();
    assert_eq!((shed.item, shed.push_back), (99, Nanos::from_millis(400)));
    assert_eq!(shed.expected_wait, Nanos::from_millis(400));
    assert_eq!(queue.len(), 40);
    // A more urgent lambda has a line of its own.
    assert!(queue.push(waiter(99, 0, 2, 1), 99, now).is_ok());
    // When nothing moves any more the wait is longer.
    let shed = queue.push(waiter(99, 0, 1, 0), 99, Nanos::from_secs(3));
    assert_eq!(shed.unwrap_err().push_back, Nanos::from_secs(10));
}

#[test]
fn the_least_entitled_leaves_a_full_queue() {
    let mut queue = FairQueue::new(bounds(4, Nanos::MAX));
    let mut push = |host, connection, priority, item| {
        let pushed = queue.push(waiter(host, connection, 1, priority), item, Nanos::ZERO);
        match pushed {
            Ok(pushed) => pushed.displaced.map(|shed| shed.item),
            Err(shed) => {
                assert_eq!(shed.push_back, Nanos::from_millis(1));
                Some(shed.item)
            }
        }
    };
    for item in ["a1", "a2", "a3"] {
        assert_eq!(push(1, 1, 5, item), None);
    }
    assert_eq!(push(2, 1, 5, "b1"), None);
    // The newcomer's turn would come last: it is the third of its host.
    assert_eq!(push(1, 1, 5, "a4"), Some("a4"));
    // Another host, and another connection of the host, come before.
    assert_eq!(push(3, 1, 5, "c1"), Some("a3"));
    assert_eq!(push(1, 2, 5, "a'1"), Some("a2"));
    // A lower priority comes after all of them, a higher one before.
    assert_eq!(push(4, 1, 4, "d1"), Some("d1"));
    assert_eq!(push(1, 1, 6, "urgent"), Some("a'1"));
    assert_eq!(queue.len(), 4);
}

#[test]
fn who_gave_up_is_gone_and_costs_its_client_no_turn() {
    let mut queue = FairQueue::new(QueueConfig::default());
    let mut push = |host, item| {
        let pushed = queue.push(waiter(host, 0, 1, 0), item, Nanos::ZERO);
        pushed.unwrap().key
    };
    let first = push(1, "gave up");
    push(1, "stays");
    push(2, "other");
    push(2, "other again");
    assert_eq!(queue.remove(first), Some("gave up"));
    assert_eq!(queue.remove(first), None);
    let mut pop = || queue.pop(Nanos::ZERO, |_| true).map(|(_, item)| item);
    assert_eq!(pop(), Some("stays"));
    assert_eq!(pop(), Some("other"));
    assert_eq!(pop(), Some("other again"));
    assert_eq!(pop(), None);
}
