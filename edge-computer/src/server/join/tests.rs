//! Branches meet once, whatever the order; their states are merged by who depends on them.

use edge_proto::workflow::Dependencies;

use super::super::queue::Queue;
use super::*;

/// `a` is followed by `b` and `c`, both by `d`; state `sb` belongs to `b`, `sc` to `c`, `sa` to
/// `a`.
fn dag() -> Dag {
    let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let states = ["a", "b", "c"].map(|name| (format!("s{name}"), vec![name.to_owned()]));
    let dependencies = Dependencies::new(BTreeMap::from(states));
    Dag::new(vec![vec![1, 2], vec![3], vec![3]], names, dependencies).unwrap()
}

fn joins() -> Joins {
    Joins::new(Duration::from_secs(60))
}

fn queue() -> Queue {
    Queue::new(10, 1 << 20)
}

/// What `function` (from 1; 0: not said) sends to `d`; all its states are marked by it.
fn branch(function: u32, queue: &Queue) -> Accepted {
    let states = ["sa", "sb", "sc"].map(|name| {
        let state = State {
            location: format!("by{function}:1"),
            ..State::default()
        };
        (name.to_owned(), state)
    });
    Accepted {
        request: LambdaRequest {
            uuid: "id".to_owned(),
            input: format!("from {function}"),
            next_function_index: 3,
            previous_function: function,
            hops: 10 - function,
            states: BTreeMap::from(states),
            ..LambdaRequest::default()
        },
        place: queue.enter(1).unwrap(),
    }
}

fn location(accepted: &Accepted, state: &str) -> String {
    accepted.request.states[state].location.clone()
}

#[test]
fn a_state_comes_from_the_branch_that_depends_on_it_in_any_order() {
    for order in [[2, 3], [3, 2]] {
        let (dag, joins, queue) = (dag(), joins(), queue());
        let now = Instant::now();
        assert!(joins.arrive(branch(order[0], &queue), &dag, now).is_none());
        let merged = joins.arrive(branch(order[1], &queue), &dag, now).unwrap();
        assert_eq!(location(&merged, "sb"), "by2:1");
        assert_eq!(location(&merged, "sc"), "by3:1");
        assert_eq!(merged.request.input, format!("from {}", order[1]));
        assert_eq!(merged.request.hops, 8);
        drop(merged);
        assert_eq!(queue.taken(), 0);
    }
}

#[test]
fn a_branch_that_arrives_twice_counts_once() {
    let (dag, joins, queue) = (dag(), joins(), queue());
    let now = Instant::now();
    for _ in 0..3 {
        assert!(joins.arrive(branch(2, &queue), &dag, now).is_none());
    }
    assert_eq!(queue.taken(), 1);
    assert!(joins.arrive(branch(3, &queue), &dag, now).is_some());
}

#[test]
fn branches_that_do_not_say_where_they_come_from_are_counted() {
    let (dag, joins, queue) = (dag(), joins(), queue());
    let now = Instant::now();
    assert!(joins.arrive(branch(0, &queue), &dag, now).is_none());
    let merged = joins.arrive(branch(0, &queue), &dag, now).unwrap();
    assert_eq!(merged.request.states.len(), 3);
}

#[test]
fn requests_of_other_identity_do_not_meet() {
    let (dag, joins, queue) = (dag(), joins(), queue());
    let now = Instant::now();
    let mut other = branch(3, &queue);
    other.request.uuid = "other".to_owned();
    assert!(joins.arrive(branch(2, &queue), &dag, now).is_none());
    assert!(joins.arrive(other, &dag, now).is_none());
}

#[test]
fn branches_that_wait_too_long_are_given_up() {
    let (dag, joins, queue) = (dag(), joins(), queue());
    let now = Instant::now();
    assert!(joins.arrive(branch(2, &queue), &dag, now).is_none());
    assert!(joins.expire(now + Duration::from_secs(59)).is_empty());
    assert_eq!(joins.expire(now + Duration::from_secs(60)).len(), 1);
    assert_eq!(queue.taken(), 0);
    assert!(joins.arrive(branch(0, &queue), &dag, now).is_none());
    assert!(joins.expire(now + Duration::from_secs(200)).is_empty());
}

#[test]
fn branches_that_wait_in_the_end_are_given_up() {
    let (dag, joins, queue) = (dag(), joins(), queue());
    assert!(
        joins
            .arrive(branch(2, &queue), &dag, Instant::now())
            .is_none()
    );
    assert_eq!(joins.give_up().len(), 1);
    assert!(joins.give_up().is_empty());
}

#[test]
fn of_a_graph_that_has_failed_nobody_waits_before_and_after() {
    for arrives_before in [true, false] {
        let (dag, joins, queue) = (dag(), joins(), queue());
        let now = Instant::now();
        if arrives_before {
            assert!(joins.arrive(branch(2, &queue), &dag, now).is_none());
        }
        assert!(joins.fail(3, "id", now), "the first one tells the caller");
        assert!(!joins.fail(3, "id", now));
        assert!(joins.arrive(branch(2, &queue), &dag, now).is_none());
        assert!(joins.arrive(branch(3, &queue), &dag, now).is_none());
        assert_eq!(queue.taken(), 0);
        assert!(joins.give_up().is_empty());
    }
}

#[test]
fn a_function_with_one_predecessor_waits_for_nobody() {
    let (dag, joins, queue) = (dag(), joins(), queue());
    let mut direct = branch(1, &queue);
    direct.request.next_function_index = 1;
    assert!(joins.arrive(direct, &dag, Instant::now()).is_some());
}
