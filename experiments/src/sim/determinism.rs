//! A run repeats bit for bit, and contenders of a seed meet the same world.

use edge_balance::PolicyConfig;

use super::course::Course;
use super::engine::run_on;
use super::job::Jobs;
use super::scenario::{Antagonist, Disturbance, Network, Scenario};
use super::{Contender, run};

fn eventful() -> Scenario {
    let on = |executor, from, kind| Antagonist {
        executor,
        from,
        to: from + 0.2,
        kind,
    };
    Scenario {
        routers: 4,
        speeds: vec![1.0, 2.0, 0.5, 4.0, 1.0],
        network: Network::LogUniform {
            min: 0.0005,
            max: 0.01,
        },
        antagonists: vec![
            on(0, 0.2, Disturbance::SlowDown(8.0)),
            on(1, 0.4, Disturbance::Pause),
            on(3, 0.5, Disturbance::Crash),
            on(2, 0.6, Disturbance::FailFast(0.5)),
        ],
        requests: 20_000,
        ..Scenario::default()
    }
}

fn contenders() -> Vec<Contender> {
    let proportional = PolicyConfig::ProportionalFairness {
        alpha: 1.0,
        beta: 1.0,
    };
    vec![
        Contender::policy(PolicyConfig::default()),
        Contender::policy(PolicyConfig::LeastCost),
        Contender::policy(PolicyConfig::Random),
        Contender::policy(PolicyConfig::RoundRobin),
        Contender::policy(PolicyConfig::LeastImpedance),
        Contender::policy(proportional),
        Contender::Oracle,
        Contender::OracleWork,
        Contender::Uniform,
    ]
}

#[test]
fn the_same_seed_gives_the_same_outcome_again_and_on_other_threads() {
    let scenario = eventful();
    for contender in contenders() {
        let first = run(&scenario, &contender, 7);
        assert_eq!(first, run(&scenario, &contender, 7), "{}", contender.name());
        std::thread::scope(|scope| {
            let threads = [(); 2].map(|()| scope.spawn(|| run(&scenario, &contender, 7)));
            for thread in threads {
                let other = thread.join().expect("a run does not panic");
                assert_eq!(first, other, "{}", contender.name());
            }
        });
        assert_ne!(first, run(&scenario, &contender, 8), "{}", contender.name());
    }
}

#[test]
fn contenders_that_share_a_course_do_as_they_would_alone() {
    let scenario = eventful();
    let course = Course::new(&scenario, 7);
    let mut jobs = Jobs::default();
    for contender in contenders() {
        let alone = run(&scenario, &contender, 7);
        let together = run_on(&course, &contender, &mut jobs);
        assert_eq!(together, alone, "{}", contender.name());
    }
}

#[test]
fn exact_foresight_makes_refusals_pay_more() {
    use super::scenario::Foresight;
    let learnt = Scenario {
        routers: 4,
        speeds: vec![1.0; 8],
        ..Scenario::default()
    };
    let exact = Scenario {
        foresight: Foresight::Exact,
        ..learnt.clone()
    };
    let policy = Contender::policy(PolicyConfig::default());
    let (learnt, exact) = (run(&learnt, &policy, 1), run(&exact, &policy, 1));
    assert!(learnt.refusals > 0 && exact.refusals > 0);
    assert!(exact.mean < learnt.mean, "{} {}", exact.mean, learnt.mean);
}

#[test]
fn every_request_ends_whatever_goes_wrong() {
    let scenario = eventful();
    for contender in contenders() {
        let outcome = run(&scenario, &contender, 3);
        assert_eq!(outcome.requests, 17_000, "{}", contender.name());
        assert!(outcome.attempts >= outcome.requests);
        let shares: f64 = outcome.share.iter().sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }
}

#[test]
fn with_one_executor_all_contenders_have_the_same_latencies() {
    let scenario = Scenario {
        routers: 3,
        speeds: vec![2.0],
        network: Network::LogUniform {
            min: 0.0005,
            max: 0.01,
        },
        ..Scenario::default()
    };
    let first = run(&scenario, &Contender::Uniform, 1);
    for contender in contenders() {
        assert_eq!(first, run(&scenario, &contender, 1), "{}", contender.name());
    }
}
