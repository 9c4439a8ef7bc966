//! Requests that are answered at once, or after their execution.

use edge_computer::sim::Requirements;
use edge_proto::rpc::{LambdaRequest, Outcome};

use super::support::{ask, client, computer, computer_of, slow_in_flight, try_ask, two_states};

#[tokio::test]
async fn tx1_an_answer_carries_what_brokers_learn_from() {
    let computer =
        computer_of("platform = {type = 'intel-server', num-containers = 1, num-workers = 3}")
            .await;
    let request = LambdaRequest {
        states: two_states(),
        hops: 1,
        ..LambdaRequest::new("clambda0", "A".repeat(100))
    };
    let answer = ask(&computer, &request).await;
    assert_eq!(
        (answer.retcode.as_str(), answer.outcome()),
        ("OK", Outcome::Ok)
    );
    assert_eq!(answer.output, request.input);
    assert_eq!(answer.states, request.states);
    assert_eq!((answer.hops, answer.uuid), (2, request.uuid));
    assert!(answer.responder.is_empty() && answer.dataout.is_empty() && !answer.asynchronous);
    assert_eq!((answer.workers, answer.in_flight), (3, 0));
    // 1.04e8 operations at 4e9 per second, if nothing else runs.
    assert_eq!(answer.service_us, 26_000);
    assert!(answer.residence_us >= answer.service_us);
    assert!(answer.ptime >= 26);
    let requirements = Requirements::Proportional {
        op_coeff: 1e6,
        op_offset: 4e6,
        mem_coeff: 100.0,
        mem_offset: 0.0,
    };
    assert_eq!(requirements.demand(100).ops, 104_000_000);
}

#[tokio::test]
async fn a_fixed_output_replaces_the_input() {
    let computer = computer("").await;
    let answer = ask(&computer, &LambdaRequest::new("fixed", "batman")).await;
    assert_eq!(
        (answer.retcode.as_str(), answer.output.as_str()),
        ("OK", "robin")
    );
}

#[tokio::test]
async fn an_unknown_lambda_is_told_with_the_name_of_the_computer() {
    let computer = computer("").await;
    let answer = ask(&computer, &LambdaRequest::new("nobody", "x")).await;
    let expected = format!(
        "No container for lambda nobody found in computer computer@{}",
        computer.endpoint()
    );
    assert_eq!((answer.retcode, answer.hops), (expected, 1));
    assert_eq!(answer.outcome, Outcome::NotFound as i32);
}

#[tokio::test]
async fn a_request_that_can_never_fit_is_an_error_of_the_application() {
    let computer = computer("").await;
    let answer = ask(&computer, &LambdaRequest::new("large", "x")).await;
    assert_eq!(answer.outcome(), Outcome::ApplicationError);
    assert!(answer.retcode.contains("large"), "{}", answer.retcode);
}

#[tokio::test]
async fn a_dry_request_is_estimated_and_not_executed() {
    // The formula of the reference adds up those that wait as if one worker served them.
    for (toml, behind_four) in [
        ("", 75_000_000),
        ("dry = {estimator = 'legacy'}", 100_000_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let platform = super::support::platform(folder.path(), 2);
        let computer = computer_of(&format!("{platform}{toml}")).await;
        let dry = |lambda: &str| LambdaRequest {
            dry: true,
            // Dry wins over the callback.
            callback: "localhost:1".to_owned(),
            ..LambdaRequest::new(lambda, "A".repeat(10))
        };
        let answer = ask(&computer, &dry("f0")).await;
        assert_eq!(
            (answer.retcode.as_str(), answer.outcome()),
            ("OK", Outcome::Ok)
        );
        // 1.4e7 operations at 4e9 per second, cut off.
        assert_eq!(
            (answer.ptime, answer.output.as_str(), answer.hops),
            (3, "", 1)
        );
        assert!(!answer.asynchronous);

        let caller = client();
        let slow = LambdaRequest::new("slow", "");
        let running = (0..4).map(|_| try_ask(&caller, computer.endpoint(), &slow));
        tokio::select! {
            _ = futures_util::future::join_all(running) => panic!("slow lambdas take hours"),
            () = async {
                slow_in_flight(&computer, 4).await;
                // Two run and two wait, each takes 25,000 s.
                let answer = ask(&computer, &dry("slow")).await;
                let elapsed = behind_four - answer.ptime;
                assert!(elapsed < 60_000, "{} ms", answer.ptime);
            } => {}
        }
        let unknown = ask(&computer, &dry("nobody")).await;
        assert_eq!(unknown.outcome(), Outcome::NotFound);
    }
}

#[tokio::test]
async fn requests_that_contradict_themselves_are_refused_and_do_no_harm() {
    let computer = computer("").await;
    let chain = LambdaRequest {
        chain: vec!["f0".to_owned(), "f1".to_owned()],
        ..LambdaRequest::new("f0", "x")
    };
    let callback = LambdaRequest {
        callback: "localhost:1".to_owned(),
        ..LambdaRequest::new("f0", "x")
    };
    for (request, reason) in [(chain, "callback is missing"), (callback, "--asynchronous")] {
        let answer = ask(&computer, &request).await;
        assert_eq!(answer.outcome(), Outcome::ApplicationError);
        assert!(answer.retcode.contains(reason), "{}", answer.retcode);
        assert_eq!(answer.hops, 1);
    }
    let one = LambdaRequest {
        chain: vec!["f0".to_owned()],
        ..LambdaRequest::new("f0", "x")
    };
    assert_eq!(ask(&computer, &one).await.outcome(), Outcome::Ok);
}
