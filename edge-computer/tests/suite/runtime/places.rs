//! Functions that share the places for processes, and who waits for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_computer::executor::{Execution, ExecutionError, Executor as _, Invocation, Patience};
use edge_computer::runtime::Runtimes;
use futures_util::future::join_all;

use super::support::{
    PATIENCE, bounded, eventually, invocation, javascript, output, python_server, run, runtimes,
};

/// Says when it runs, and goes on until it is told to end.
fn gated(folder: &std::path::Path) -> String {
    format!(
        "const fs = require('fs');
         async function main({{ waits }}) {{
           if (waits) fs.writeFileSync('{0}/runs', '');
           while (waits && !fs.existsSync('{0}/end')) await new Promise((f) => setTimeout(f, 5));
           return {{}};
         }}",
        folder.display()
    )
}

fn of(lambda: &str, input: &str) -> Invocation {
    Invocation {
        lambda: lambda.to_owned(),
        ..invocation(input)
    }
}

async fn call(runtimes: &Runtimes, lambda: &str, input: &str) -> Result<Execution, ExecutionError> {
    let deadline = Instant::now() + PATIENCE;
    runtimes.run(of(lambda, input), deadline).await
}

#[tokio::test]
async fn requests_of_one_function_share_the_only_place_there_is() {
    let slow = "function main() { return new Promise((f) => setTimeout(() => f({}), 20)); }";
    let function = runtimes(&format!(
        "max-containers = 1\n[[lambda]]\nname = 'f'\ncode = '{slow}'"
    ));
    assert_eq!(function.standing("f").unwrap().workers, 1);
    assert_eq!(function.containers()[0].num_workers, 1);
    let outputs = join_all((0..4).map(|_| output(&function, "{}"))).await;
    assert_eq!(outputs, ["{}"; 4]);
    assert_eq!(function.containers_alive(), 1);
    function.close().await;
}

#[tokio::test]
async fn who_waits_for_a_place_gets_that_of_a_container_that_becomes_idle() {
    let folder = tempfile::tempdir().unwrap();
    let function = Arc::new(runtimes(&format!(
        "max-containers = 1
         [[lambda]]\nname = 'f'\ncode = \"\"\"{}\"\"\"
         [[lambda]]\nname = 'g'\ncode = 'function main() {{ return {{}}; }}'",
        gated(folder.path())
    )));
    let busy = tokio::spawn({
        let function = function.clone();
        async move { call(&function, "f", r#"{"waits":true}"#).await }
    });
    eventually("it runs", || folder.path().join("runs").exists()).await;
    let waits = tokio::spawn({
        let function = function.clone();
        async move { call(&function, "g", "{}").await }
    });
    eventually("it waits", || {
        function.standing("g").unwrap().in_flight == 1
    })
    .await;
    std::fs::write(folder.path().join("end"), "").unwrap();
    assert!(busy.await.unwrap().is_ok());
    assert!(waits.await.unwrap().is_ok());
    function.close().await;
}

#[tokio::test]
async fn functions_that_are_never_idle_take_turns_at_the_only_place() {
    let code = "function main() { return new Promise((f) => setTimeout(() => f({}), 20)); }";
    let toml = format!(
        "max-containers = 1
         [[lambda]]\nname = 'f'\ncode = '{code}'\nconcurrency = 2
         [[lambda]]\nname = 'g'\ncode = '{code}'"
    );
    // Each turn takes as long as a process takes to start.
    let function = bounded(&toml, PATIENCE);
    let ends = std::sync::atomic::AtomicBool::new(false);
    // Always two or three of them, so that its container is never without a request.
    let busy = join_all((0..3).map(|_| async {
        while !ends.load(std::sync::atomic::Ordering::Relaxed) {
            call(&function, "f", "{}").await.unwrap();
        }
    }));
    let other = async {
        call(&function, "g", "{}").await.unwrap();
        ends.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::join!(busy, other);
    function.close().await;
}

#[tokio::test]
async fn the_wait_for_a_place_is_bounded_and_nothing_was_executed() {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!(
        "max-containers = 1
         [[lambda]]\nname = 'f'\ncode = \"\"\"{}\"\"\"
         [[lambda]]\nname = 'g'\ncode = 'function main() {{ return {{}}; }}'",
        gated(folder.path())
    );
    let function = bounded(&toml, Duration::from_millis(300));
    let busy = call(&function, "f", r#"{"waits":true}"#);
    let others = async {
        eventually("it runs", || folder.path().join("runs").exists()).await;
        let usual = call(&function, "g", "{}").await;
        assert!(
            matches!(usual, Err(ExecutionError::Overloaded { .. })),
            "{usual:?}"
        );
        let mut impatient = of("g", "{}");
        impatient.patience = Patience::AtMost(Duration::from_millis(10));
        let impatient = function.run(impatient, Instant::now() + PATIENCE).await;
        assert!(
            matches!(impatient, Err(ExecutionError::Refused { .. })),
            "{impatient:?}"
        );
        let mut acknowledged = of("g", "{}");
        acknowledged.patience = Patience::UntilDeadline;
        let deadline = Instant::now() + Duration::from_millis(400);
        let late = function.run(acknowledged, deadline).await;
        assert!(
            matches!(late, Err(ExecutionError::TooLate { .. })),
            "{late:?}"
        );
        std::fs::write(folder.path().join("end"), "").unwrap();
    };
    let (busy, ()) = tokio::join!(busy, others);
    assert!(busy.is_ok());
    function.close().await;
}

#[tokio::test]
async fn a_start_that_takes_longer_than_its_request_is_there_for_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    // It says that it starts, and serves once it may.
    let script = format!(
        "echo x >> {path}/starts; while [ ! -e {path}/go ]; do sleep 0.02; done; \
         exec python3 -m http.server --bind 127.0.0.1 $PORT"
    );
    let function = runtimes(&format!(
        "[[lambda]]\nname = 'f'\nkind = 'command'\nmax-containers = 1
         command = ['sh', '-c', '{script}']"
    ));
    let starts = || std::fs::read_to_string(folder.path().join("starts")).unwrap_or_default();
    for _ in 0..2 {
        let deadline = Instant::now() + Duration::from_millis(300);
        let late = function.run(invocation("{}"), deadline).await;
        assert!(
            matches!(late, Err(ExecutionError::TooLate { .. })),
            "{late:?}"
        );
    }
    std::fs::write(folder.path().join("go"), "").unwrap();
    eventually("it serves", || function.containers_alive() == 1).await;
    // It is no runtime, but it is there.
    let failed = run(&function, "{}").await;
    assert!(
        matches!(failed, Err(ExecutionError::Failed { .. })),
        "{failed:?}"
    );
    assert_eq!(starts(), "x\n");
    function.close().await;
}

#[tokio::test]
async fn an_initialisation_that_takes_longer_than_its_request_is_there_for_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let code = format!(
        "const fs = require('fs');
         fs.appendFileSync('{0}/inits', 'x');
         while (!fs.existsSync('{0}/go'));
         exports.main = () => ({{ fine: true }});",
        folder.path().display()
    );
    let function = javascript(&code, "max-containers = 1");
    let inits = || std::fs::read_to_string(folder.path().join("inits")).unwrap_or_default();
    let mut impatient = Box::pin(run(&function, "{}"));
    tokio::select! {
        _ = &mut impatient => panic!("it does not end"),
        () = eventually("it is being initialised", || inits() == "x") => {}
    }
    drop(impatient);
    std::fs::write(folder.path().join("go"), "").unwrap();
    assert_eq!(output(&function, "{}").await, r#"{"fine":true}"#);
    assert_eq!(inits(), "x");
    function.close().await;
}

#[tokio::test]
async fn what_is_out_of_service_is_refused_at_once_and_tried_at_the_expense_of_the_idle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let script = format!(
        "echo x >> {path}/starts; [ -e {path}/works ] || exit 3; \
         exec python3 -m http.server --bind 127.0.0.1 $PORT"
    );
    let function = runtimes(&format!(
        "max-containers = 1
         [[lambda]]\nname = 'f'\nkind = 'command'\ncommand = ['sh', '-c', '{script}']
         [[lambda]]\nname = 'g'\ncode = 'function main() {{ return {{}}; }}'"
    ));
    let starts = || std::fs::read_to_string(folder.path().join("starts")).unwrap_or_default();
    let mut refused = 0;
    for _ in 0..50 {
        let failed = run(&function, "{}").await;
        let Err(ExecutionError::Unavailable { text, begun: false }) = failed else {
            panic!("it cannot be executed: {failed:?}");
        };
        refused += usize::from(text.contains("out of service"));
    }
    assert!(refused > 40, "{refused}");
    assert!(starts().lines().count() < 10, "{}", starts());
    // The only place is taken, but nobody needs it.
    assert!(call(&function, "g", "{}").await.is_ok());
    std::fs::write(folder.path().join("works"), "").unwrap();
    eventually("it is announced again", || function.containers().len() == 2).await;
    function.close().await;
}

#[tokio::test]
async fn one_server_of_several_that_cannot_be_reached_fails_no_request() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = gone.local_addr().unwrap();
    drop(gone);
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = python_server(folder.path()).await;
    let function = runtimes(&format!(
        "[[lambda]]\nname = 'f'\nkind = 'endpoints'
         endpoints = ['http://{dead}', '{url}']"
    ));
    assert_eq!(function.containers()[0].num_workers, 2);
    let all = join_all((0..3).map(|_| async {
        for _ in 0..5 {
            run(&function, "{}").await.unwrap();
        }
    }));
    all.await;
    assert_eq!(function.containers()[0].num_workers, 1);
    function.close().await;
}
