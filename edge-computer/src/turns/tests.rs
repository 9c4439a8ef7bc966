//! Who is taken, who waits, who is turned away, and that nobody is forgotten.

use futures_util::future::poll_immediate;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn turns(workers: u32, max_pending: usize, max_wait: Duration) -> Arc<Turns> {
    Arc::new(Turns::new(Bounds {
        workers,
        max_pending,
        max_wait,
    }))
}

fn terms(patience: Patience, left: Duration) -> Terms<'static> {
    Terms {
        lambda: "f",
        input_bytes: 0,
        patience,
        deadline: Instant::now() + left,
    }
}

async fn executed(turns: &Arc<Turns>, service: Duration) {
    let turn = turns.enter(0, &terms(Patience::Usual, HOUR)).await;
    turn.unwrap().executed(service);
}

#[tokio::test]
async fn idle_workers_refuse_nobody_and_busy_ones_by_what_they_have_learnt() {
    let turns = turns(1, 10, HOUR);
    executed(&turns, Duration::from_secs(60)).await;
    let impatient = |max_wait| terms(Patience::AtMost(max_wait), HOUR);
    let first = turns.enter(0, &impatient(Duration::ZERO)).await.unwrap();
    let refused = turns.admits(0, &impatient(Duration::from_secs(59)));
    assert!(matches!(refused, Err(ExecutionError::Refused { .. })));
    assert_eq!(turns.admits(0, &impatient(Duration::from_secs(61))), Ok(()));
    let late = turns.admits(0, &terms(Patience::Usual, Duration::from_secs(30)));
    assert!(matches!(late, Err(ExecutionError::TooLate { .. })));
    let estimate = turns.estimate(0).as_secs_f64();
    assert!((estimate - 120.0).abs() < 0.1, "{estimate}");
    drop(first);
    assert_eq!(turns.in_system(), 0);
}

#[tokio::test]
async fn the_queue_is_bounded_in_length_and_in_time() {
    let turns = turns(1, 1, Duration::from_millis(5));
    let busy = turns.enter(0, &terms(Patience::Usual, HOUR)).await.unwrap();
    let acknowledged = terms(Patience::UntilDeadline, HOUR);
    let mut waits = Box::pin(turns.enter(0, &acknowledged));
    assert!(poll_immediate(&mut waits).await.is_none());
    let full = turns.enter(0, &terms(Patience::Usual, HOUR)).await;
    assert!(matches!(full, Err(ExecutionError::Overloaded { place_in, .. }) if place_in >= SOON));
    drop(waits);
    assert_eq!(turns.of_lambda(0), (1, 0));
    let overdue = turns.enter(0, &terms(Patience::Usual, HOUR)).await;
    assert!(matches!(overdue, Err(ExecutionError::Overloaded { .. })));
    let late = terms(Patience::UntilDeadline, Duration::ZERO);
    assert!(matches!(
        turns.enter(0, &late).await,
        Err(ExecutionError::TooLate {
            left: Duration::ZERO,
            ..
        })
    ));
    drop(busy);
    assert_eq!((turns.of_lambda(0), turns.in_system()), ((0, 0), 0));
}

#[tokio::test]
async fn who_was_acknowledged_is_not_turned_down_by_those_who_were_at_the_same_moment() {
    let turns = turns(1, 1, Duration::ZERO);
    executed(&turns, 2 * HOUR).await;
    let acknowledged = terms(Patience::UntilDeadline, HOUR);
    // All of them are admitted before the first one of them enters.
    let admitted = [(); 4].map(|()| turns.admits(0, &acknowledged));
    assert_eq!(admitted, [Ok(()), Ok(()), Ok(()), Ok(())]);
    let mut entering = [(); 4].map(|()| Box::pin(turns.enter(0, &acknowledged)));
    let first = poll_immediate(&mut entering[0]).await;
    let first = first.expect("a worker is idle").unwrap();
    for waits in &mut entering[1..] {
        assert!(poll_immediate(waits).await.is_none());
    }
    assert_eq!(turns.of_lambda(0), (1, 3));
    let full = turns.admits(0, &acknowledged);
    assert!(matches!(full, Err(ExecutionError::Overloaded { .. })));
    drop(first);
    let second = poll_immediate(&mut entering[1]).await;
    assert!(second.expect("it is its turn").is_ok());
}

#[tokio::test]
async fn who_waits_when_it_closes_was_not_executed() {
    let turns = turns(1, 10, HOUR);
    let busy = turns.enter(0, &terms(Patience::Usual, HOUR)).await.unwrap();
    let patient = terms(Patience::Usual, HOUR);
    let mut waits = Box::pin(turns.enter(1, &patient));
    assert!(poll_immediate(&mut waits).await.is_none());
    turns.close();
    assert!(matches!(waits.await, Err(ExecutionError::Stopping { .. })));
    let later = turns.enter(0, &patient).await;
    assert!(matches!(later, Err(ExecutionError::Stopping { .. })));
    busy.executed(Duration::from_secs(1));
    assert_eq!(turns.in_system(), 0);
}

#[tokio::test]
async fn workers_are_busy_from_their_turn_on_and_who_waits_is_not() {
    let turns = turns(1, 10, HOUR);
    let usual = terms(Patience::Usual, HOUR);
    let begin = Instant::now();
    let first = turns.enter(0, &usual).await.unwrap();
    let mut waits = Box::pin(turns.enter(0, &usual));
    assert!(poll_immediate(&mut waits).await.is_none());
    let later = Instant::now() + HOUR;
    let busy = turns.take_busy(later);
    assert!((HOUR..=later - begin).contains(&busy), "{busy:?}");
    assert_eq!(turns.take_busy(later + HOUR), HOUR);
    drop(waits);
    drop(first);
    assert_eq!(turns.take_busy(later + 3 * HOUR), Duration::ZERO);
}
