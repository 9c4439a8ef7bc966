use edge_client::ErrorKind;

use super::*;
use crate::overload::clients::Clients;
use crate::overload::goals::Goals;
use crate::overload::platform::Capacity;
use crate::overload::site::Books;
use crate::overload::timeline::Timeline;

const MS: Duration = Duration::from_millis(1);
/// 100 requests per second, and four phases of two seconds: the burst lasts from 4 s to 6 s.
const PHASE: Duration = Duration::from_secs(2);

fn plan() -> Plan {
    Plan {
        factor: 3.0,
        capacity: Capacity {
            computers: 1,
            workers: 1,
            service: MS * 10,
        },
        clients: Clients {
            count: 2,
            greedy: 1,
            greed: 2.0,
            hosts: false,
        },
        timeline: Timeline {
            warm_up: PHASE,
            unloaded: PHASE,
            burst: PHASE,
            recovery: PHASE,
        },
        deadline: PHASE,
        router: serde_json::Value::Null,
        mixed: true,
        seed: 1,
    }
}

/// A request every 10 ms from `begin_ms` on for two seconds, from both clients in turn; `fate`
/// decides by its number.
fn phase(begin_ms: u32, latency_ms: u32, fate: impl Fn(usize) -> Fate) -> Vec<Sample> {
    (0..200)
        .map(|number| Sample {
            due: MS * (begin_ms + 10 * number),
            client: number as usize % 2,
            lambda: usize::from(number % 4 == 3),
            late: MS,
            latency: MS * latency_ms,
            fate: fate(number as usize),
        })
        .collect()
}

fn figures(burst: Vec<Sample>, peak_kb: u64) -> Figures {
    let books = |repeats, cpu_ms: u32| Books {
        requests: 0,
        in_flight: 7,
        at_computers: 5,
        repeats,
        cpu: MS * cpu_ms,
        computers_cpu: MS * cpu_ms,
    };
    let mut memory = Memory::starting_at(1000);
    memory.note(peak_kb);
    let ok = |_| Fate::Answered;
    let phases = [
        phase(0, 12, ok),
        phase(2000, 12, ok),
        burst,
        phase(6000, 12, ok),
    ];
    let evidence = Evidence {
        offered: Offered {
            samples: phases.concat(),
            examples: BTreeMap::new(),
        },
        seen: Seen {
            memory,
            books: [books(10, 100), books(60, 200)],
            idle: 0.5,
        },
        taken: 800,
    };
    Figures::of(&plan(), &evidence)
}

#[test]
fn what_is_answered_in_time_is_goodput_and_the_rest_is_told_apart() {
    let figures = figures(
        phase(4000, 21, |number| match number % 4 {
            0 => Fate::Refused,
            1 => Fate::Expired,
            2 => Fate::Answered,
            _ => Fate::Failed(ErrorKind::Lost),
        }),
        1000,
    );
    assert_eq!(figures.offered, 200);
    let fates = [
        figures.answered,
        figures.refused,
        figures.expired,
        figures.failed,
    ];
    assert_eq!(fates, [50; 4]);
    assert_eq!(figures.failed_by_kind, BTreeMap::from([("lost", 50)]));
    // One answer from before the burst came in it, and its last one came after it.
    assert_eq!(figures.goodput_rps, 25.0);
    assert_eq!(figures.goodput_of_capacity, 0.25);
    assert_eq!((figures.unloaded_p99_ms, figures.p99_ms), (12.0, 21.0));
    // From when they left.
    assert_eq!(
        (figures.refusal_max_ms, figures.refused_at_once),
        (20.0, 0.0)
    );
    assert_eq!(figures.attempts_per_request, 1.25);
    assert_eq!(figures.router_cpu_us, 500.0);
    assert_eq!(figures.all.sent, 800);
    assert_eq!(figures.all.answered, 650);
    assert_eq!(figures.back_to_normal_ms, Some(0));
}

#[test]
fn each_client_and_each_lambda_has_figures_of_its_own() {
    // The second client sends the odd ones and gets half of what the first one gets.
    let figures = figures(
        phase(4000, 1, |number| match number % 4 {
            3 => Fate::Refused,
            _ => Fate::Answered,
        }),
        1000,
    );
    // Both ask for 50 per second, which is what there is for each. The last answer of the phase
    // before came when the burst had begun.
    assert_eq!(figures.client_answers, [100, 51]);
    assert_eq!(figures.client_ratios, [1.0, 0.51]);
    assert!((0.89..0.91).contains(&figures.jain), "{}", figures.jain);
    let (urgent, batch) = (figures.lambdas["urgent"], figures.lambdas["batch"]);
    assert_eq!((urgent.offered_rps, batch.offered_rps), (75.0, 25.0));
    assert_eq!((urgent.refused, batch.refused), (0, 50));
    assert!(batch.p99_ms.is_nan());
}

#[test]
fn every_goal_can_be_met_and_missed() {
    let goals = Goals {
        queue_bound_ms: 10.0,
    };
    let good = figures(phase(4000, 34, |_| Fate::Answered), 33_000);
    assert_eq!(goals.missed(&good), Vec::<String>::new());
    let bad = figures(
        phase(4000, 35, |number| match number % 2 {
            0 => Fate::Answered,
            _ => Fate::Refused,
        }),
        40_000,
    );
    let missed = goals.missed(&bad).join("; ");
    for goal in [
        "memory from 1000 to 40000 kB",
        "goodput 5",
        "p99 35 ms",
        "Jain 0.5",
    ] {
        assert!(missed.contains(goal), "{goal}: {missed}");
    }
}
