//! Adaptive limits in front of a line of workers, on virtual time: busy workers, short lines, equal
//! shares, quick recovery.

use crate::{seconds, seeded};
use edge_balance::{AdaptiveLimit, LimitConfig, Nanos};
use proptest::prelude::*;
use rand::RngExt;
use rand_pcg::Pcg32;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Mean service time in seconds.
const SERVICE: f64 = 0.01;

/// How service times vary about their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Variation {
    Constant,
    Exponential,
    /// Nine in ten take a fifth of the mean, one in ten 8.2 times the mean: squared coefficient of
    /// variation 5.8.
    HeavyTailed,
    /// The same, but as two lambdas, of each of which the mean is known.
    TwoLambdas,
}

const VARIATIONS: [Variation; 4] = [
    Variation::Constant,
    Variation::Exponential,
    Variation::HeavyTailed,
    Variation::TwoLambdas,
];

impl Variation {
    /// A service time, and what is expected of the like, in seconds.
    fn draw(self, rng: &mut Pcg32) -> (f64, f64) {
        let u: f64 = rng.random();
        let two_sizes = SERVICE * if u < 0.9 { 0.2 } else { 8.2 };
        match self {
            Variation::Constant => (SERVICE, SERVICE),
            Variation::Exponential => (-SERVICE * (1.0 - u).ln(), SERVICE),
            Variation::HeavyTailed => (two_sizes, SERVICE),
            Variation::TwoLambdas => (two_sizes, two_sizes),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    broker: usize,
    sent: Nanos,
    service: Nanos,
    expected: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Sends(usize),
    Arrives(Message),
    Done(Message),
    Answered(Message),
    Refused(Message),
}

/// Brokers that always have something to send, and a destination that serves first come first
/// served.
struct World {
    limits: Vec<AdaptiveLimit>,
    in_flight: Vec<u32>,
    workers: usize,
    busy: usize,
    line: VecDeque<Message>,
    longest_line: usize,
    variation: Variation,
    /// There and back, in seconds.
    network: f64,
    /// What a broker takes a latency for.
    perceived: fn(Nanos, &mut Pcg32) -> Nanos,
    agenda: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    events: u64,
    now: Nanos,
    rng: Pcg32,
    seen: Seen,
}

/// Since the last look.
#[derive(Debug, Default)]
struct Seen {
    since: Nanos,
    /// By broker.
    served: Vec<u64>,
    refused: u64,
    /// Seconds, and what was expected of the same answers.
    latencies: f64,
    expected: f64,
    /// Seconds of work begun.
    work: f64,
}

impl World {
    fn new(brokers: usize, workers: usize, variation: Variation, network: f64) -> Self {
        let limit = || AdaptiveLimit::new(LimitConfig::default());
        World {
            limits: std::iter::repeat_with(limit).take(brokers).collect(),
            in_flight: vec![0; brokers],
            workers,
            busy: 0,
            line: VecDeque::new(),
            longest_line: usize::MAX,
            variation,
            network,
            perceived: |latency, _| latency,
            agenda: (0..brokers)
                .map(|broker| Reverse((Nanos::ZERO, 0, Event::Sends(broker))))
                .collect(),
            events: 0,
            now: Nanos::ZERO,
            rng: seeded(7),
            seen: Seen::default(),
        }
    }

    fn after(&mut self, span: Nanos, event: Event) {
        self.events += 1;
        self.agenda
            .push(Reverse((self.now + span, self.events, event)));
    }

    fn way(&self) -> Nanos {
        seconds(self.network / 2.0)
    }

    fn send(&mut self, broker: usize) {
        while self.in_flight[broker] < self.limits[broker].current() {
            self.in_flight[broker] += 1;
            let (service, expected) = self.variation.draw(&mut self.rng);
            let message = Message {
                broker,
                sent: self.now,
                service: seconds(service),
                expected: seconds(expected + self.network),
            };
            self.after(self.way(), Event::Arrives(message));
        }
    }

    fn start_work(&mut self) {
        while self.busy < self.workers {
            let Some(message) = self.line.pop_front() else {
                return;
            };
            self.busy += 1;
            self.seen.work += message.service.as_secs_f64();
            self.after(message.service, Event::Done(message));
        }
    }

    fn answered(&mut self, message: Message) {
        let broker = message.broker;
        let latency = self.now - message.sent;
        self.seen.served[broker] += 1;
        self.seen.latencies += latency.as_secs_f64();
        self.seen.expected += message.expected.as_secs_f64();
        let latency = (self.perceived)(latency, &mut self.rng);
        self.limits[broker].answered(self.in_flight[broker], latency, message.expected, self.now);
        self.in_flight[broker] -= 1;
        self.send(broker);
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Sends(broker) => self.send(broker),
            Event::Arrives(message) if self.line.len() >= self.longest_line => {
                self.after(self.way(), Event::Refused(message));
            }
            Event::Arrives(message) => self.line.push_back(message),
            Event::Done(message) => {
                self.busy -= 1;
                self.after(self.way(), Event::Answered(message));
            }
            Event::Answered(message) => self.answered(message),
            Event::Refused(message) => {
                self.seen.refused += 1;
                self.limits[message.broker].overloaded(self.now);
                self.in_flight[message.broker] -= 1;
                // Not in the same instant, or they would go back and forth for ever.
                self.after(seconds(SERVICE), Event::Sends(message.broker));
            }
        }
        self.start_work();
    }

    /// Goes on for a span in seconds, and sees what happens in it.
    fn run(&mut self, span: f64) {
        self.seen = Seen {
            since: self.now,
            served: vec![0; self.limits.len()],
            ..Seen::default()
        };
        let end = self.now + seconds(span);
        while let Some(Reverse((at, _, event))) = self.agenda.pop() {
            self.now = at;
            self.happens(event);
            if at >= end {
                return;
            }
        }
    }

    /// After the same time unseen.
    fn settled(mut self, span: f64) -> Self {
        self.run(span);
        self.run(span);
        self
    }

    /// Share of the workers' time that was worked.
    fn utilization(&self) -> f64 {
        self.seen.work / (self.now - self.seen.since).as_secs_f64() / self.workers as f64
    }

    fn served(&self) -> f64 {
        self.seen.served.iter().sum::<u64>() as f64
    }

    fn slowdown(&self) -> f64 {
        self.seen.latencies / self.seen.expected
    }

    /// Requests that keep all workers busy: on their way or being served.
    fn needed(&self) -> f64 {
        self.workers as f64 * (1.0 + self.network / SERVICE)
    }

    /// The slowdown with which a limit of one broker is at rest, see [`AdaptiveLimit`].
    fn slowdown_at_rest(&self) -> f64 {
        let mut limit = 4.0_f64;
        for _ in 0..100 {
            limit = self.needed() * 2.0 / (1.0 - 1.0 / limit.sqrt());
        }
        limit / self.needed()
    }

    /// Jain's index of what brokers got: 1 if all got the same, 1/n if one got it all.
    fn fairness(&self) -> f64 {
        let served = self.seen.served.iter().map(|n| *n as f64);
        let squares: f64 = served.map(|n| n * n).sum();
        self.served().powi(2) / (squares * self.limits.len() as f64)
    }
}

fn varies(variation: Variation) -> bool {
    matches!(variation, Variation::HeavyTailed | Variation::TwoLambdas)
}

fn everywhere(mut check: impl FnMut(Variation, f64, usize)) {
    for variation in VARIATIONS {
        for network in [0.0, SERVICE, 10.0 * SERVICE] {
            for workers in [1, 2, 4, 16, 64] {
                check(variation, network, workers);
            }
        }
    }
}

#[test]
fn workers_stay_busy_and_the_line_short() {
    everywhere(|variation, network, workers| {
        let world = World::new(1, workers, variation, network).settled(10.0);
        let (utilization, slowdown) = (world.utilization(), world.slowdown());
        let case = format!("{variation:?}, {workers} workers, network {network}");
        println!("{case}: {utilization:.3} busy, slowdown {slowdown:.2}");
        // One worker far away needs a longer line for a run of short requests: with a fixed limit 30.
        let far = workers == 1 && network > SERVICE;
        let busy = if far && varies(variation) { 0.93 } else { 0.97 };
        assert!(utilization >= busy, "{case}: busy {utilization}");
        // Where one in ten requests makes nine tenths of the work the average is rougher.
        let rough = if varies(variation) { 2.5 } else { 1.25 };
        let bound = rough * world.slowdown_at_rest();
        assert!(slowdown <= bound, "{case}: slowdown {slowdown} > {bound}");
    });
}

#[test]
fn brokers_share_a_destination_equally() {
    everywhere(|variation, network, workers| {
        let world = World::new(4, workers, variation, network).settled(10.0);
        let (fairness, slowdown) = (world.fairness(), world.slowdown());
        let case = format!("{variation:?}, {workers} workers, network {network}");
        println!("{case}: fairness {fairness:.3}, slowdown {slowdown:.2}");
        assert!(fairness >= 0.93, "{case}: fairness {fairness}");
    });
}

#[test]
fn a_broker_that_comes_later_gets_its_share() {
    let mut world = World::new(2, 16, Variation::Exponential, SERVICE);
    // The second broker has nothing to send until it is woken.
    world
        .agenda
        .retain(|Reverse((_, _, event))| *event == Event::Sends(0));
    world.run(10.0);
    assert_eq!(world.seen.served[1], 0);
    world.after(Nanos::ZERO, Event::Sends(1));
    let world = world.settled(5.0);
    let fairness = world.fairness();
    assert!(fairness >= 0.97, "{fairness}");
}

#[test]
fn the_limit_follows_capacity_within_seconds() {
    for network in [0.0, 2.0 * SERVICE] {
        let mut world = World::new(1, 32, Variation::Exponential, network).settled(10.0);
        for workers in [64, 8, 1, 64] {
            world.workers = workers;
            world.run(4.0);
            world.run(4.0);
            let (utilization, slowdown) = (world.utilization(), world.slowdown());
            let bound = 1.5 * world.slowdown_at_rest();
            let case = format!("{workers} workers, network {network}");
            assert!(utilization >= 0.95, "{case}: busy {utilization}");
            assert!(slowdown <= bound, "{case}: slowdown {slowdown} > {bound}");
        }
    }
}

#[test]
fn a_destination_that_refuses_soon_is_kept_busy_with_few_refusals() {
    for (workers, network) in [(4, 0.0), (16, SERVICE), (64, 0.0)] {
        let mut world = World::new(2, workers, Variation::Exponential, network);
        // Far less than what the tolerance would allow.
        world.longest_line = workers / 4 + 1;
        let world = world.settled(20.0);
        let refused = world.seen.refused as f64 / world.served();
        let case = format!("{workers} workers, network {network}");
        println!(
            "{case}: {refused:.4} refused, {:.3} busy",
            world.utilization()
        );
        let (utilization, fairness) = (world.utilization(), world.fairness());
        assert!(refused <= 0.05, "{case}: {refused} refused");
        assert!(utilization >= 0.8, "{case}: {utilization}");
        assert!(fairness >= 0.85, "{case}: {fairness}");
    }
}

#[test]
fn absurd_latencies_now_and_then_do_no_harm() {
    let absurd: [fn(Nanos, &mut Pcg32) -> Nanos; 3] = [
        |latency, rng| {
            if rng.random_ratio(1, 50) {
                Nanos::ZERO
            } else {
                latency
            }
        },
        |latency, rng| {
            if rng.random_ratio(1, 100) {
                Nanos::MAX
            } else {
                latency
            }
        },
        |latency, rng| match rng.random_range(0..200) {
            0 => Nanos::ZERO,
            1 => Nanos::MAX,
            _ => latency,
        },
    ];
    for perceived in absurd {
        for workers in [1, 16, 64] {
            let mut world = World::new(1, workers, Variation::Exponential, SERVICE);
            world.perceived = perceived;
            let world = world.settled(10.0);
            let (utilization, slowdown) = (world.utilization(), world.slowdown());
            let bound = 1.5 * world.slowdown_at_rest();
            assert!(utilization >= 0.95, "{workers} workers: {utilization} busy");
            assert!(slowdown <= bound, "{workers} workers: {slowdown}");
        }
    }
}

/// At 32, its start.
fn limit() -> AdaptiveLimit {
    AdaptiveLimit::new(LimitConfig::default())
}

const EXPECTED: Nanos = Nanos::from_millis(10);

#[test]
fn what_is_not_used_does_not_grow() {
    let limit = limit();
    for i in 0..10_000 {
        limit.answered(15, EXPECTED, EXPECTED, Nanos::from_millis(i));
    }
    assert_eq!(limit.current(), 32);
    for i in 10_000..10_100 {
        limit.answered(32, EXPECTED, EXPECTED, Nanos::from_millis(i));
    }
    assert!(limit.current() > 40, "{}", limit.current());
}

#[test]
fn a_burst_of_refusals_counts_once() {
    let limit = limit();
    let now = Nanos::from_secs(1);
    limit.answered(1, EXPECTED, EXPECTED, now);
    for i in 0..30 {
        limit.overloaded(now + Nanos::from_micros(i * 100));
    }
    assert_eq!(limit.current(), 25);
    limit.lost(now + Nanos::from_millis(9));
    assert_eq!(limit.current(), 25);
    limit.overloaded(now + Nanos::from_millis(10));
    assert_eq!(limit.current(), 20);
    limit.lost(now + Nanos::from_millis(20));
    assert_eq!(limit.current(), 18);
}

#[test]
fn the_first_refusal_counts_also_at_the_origin_of_time() {
    let limit = limit();
    limit.overloaded(Nanos::ZERO);
    assert_eq!(limit.current(), 25);
}

#[test]
fn after_a_refusal_it_grows_slowly_until_that_is_outgrown() {
    let limit = limit();
    let answers = |until: u32, now: Nanos| {
        let answers = (1..).take_while(|_| {
            limit.answered(limit.current(), EXPECTED, EXPECTED, now);
            limit.current() < until
        });
        answers.count()
    };
    let freely = answers(64, Nanos::from_secs(1));
    limit.overloaded(Nanos::from_secs(2));
    assert_eq!(limit.current(), 51);
    let carefully = answers(76, Nanos::from_secs(3));
    assert!(carefully > 2 * freely, "{carefully} and {freely}");
    answers(100, Nanos::from_secs(3));
    let freely_again = answers(132, Nanos::from_secs(3));
    assert!(freely_again < carefully / 2, "{freely_again}");
}

#[test]
fn reported_workers_are_a_lower_bound() {
    let limit = limit();
    limit.floor(64);
    assert_eq!(limit.current(), 72);
    for i in 0..100 {
        limit.overloaded(Nanos::from_secs(i));
    }
    assert_eq!(limit.current(), 72);
    limit.floor(u32::MAX);
    assert_eq!(limit.current(), LimitConfig::default().max);
}

#[test]
fn without_an_expectation_nothing_is_learnt() {
    let limit = limit();
    for _ in 0..1000 {
        limit.answered(32, Nanos::MAX, Nanos::ZERO, Nanos::ZERO);
    }
    assert_eq!((limit.current(), limit.slowdown()), (32, 1.0));
}

fn any_span() -> impl Strategy<Value = Nanos> {
    let usual = (0..100_000_000_u64).prop_map(Nanos);
    prop_oneof![usual, Just(Nanos::ZERO), Just(Nanos(1)), Just(Nanos::MAX)]
}

proptest! {
    #[test]
    fn whatever_happens_the_limit_is_within_bounds_and_comes_back(
        happenings in prop::collection::vec((0..4, any_span(), any_span(), any_span(), any::<u32>()), 0..300),
        (min, max, start) in (any::<u32>(), any::<u32>(), any::<u32>()),
        tolerance in any::<f32>(),
    ) {
        let limit = AdaptiveLimit::new(LimitConfig { min, max, start, tolerance });
        let (least, most) = (min.clamp(1, 1 << 20), max.clamp(min.clamp(1, 1 << 20), 1 << 20));
        for (what, latency, expected, now, in_flight) in happenings {
            match what {
                0 => limit.overloaded(now),
                1 => limit.lost(now),
                _ => limit.answered(in_flight, latency, expected, now),
            }
            prop_assert!((least..=most).contains(&limit.current()));
            prop_assert!(limit.slowdown().is_finite());
        }
        // Half a minute of quick answers leads it away from the lower bound, and of slow ones to it.
        let end = Nanos::from_secs(1 << 40);
        let goal = least.saturating_mul(2).min(most).min(200);
        for _ in 0..3000 {
            limit.answered(u32::MAX, EXPECTED, EXPECTED, end);
        }
        prop_assert!(limit.current() >= goal, "{} < {goal}", limit.current());
    }
}
