//! Forms of code: modules, archives, commands and servers that are there already.

use std::time::Instant;

use edge_computer::executor::{ExecutionError, Executor as _};

use super::support::{PATIENCE, failure, invocation, javascript, output, python, run, runtimes};

#[tokio::test]
async fn common_js_and_ecmascript_modules_and_other_names_of_main() {
    for (code, more) in [
        ("function main() { return { a: 1 }; }", ""),
        ("exports.main = () => ({ a: 1 });", ""),
        ("module.exports = { main: () => ({ a: 1 }) };", ""),
        ("export function main() { return { a: 1 }; }", ""),
        (
            "const lib = { deep: () => ({ a: 1 }) };",
            "main = 'lib.deep'",
        ),
        (
            "const path = require('path'); const go = () => ({ a: path.sep.length });",
            "main = 'go'",
        ),
    ] {
        let function = javascript(code, more);
        assert_eq!(output(&function, "{}").await, r#"{"a":1}"#, "{code}");
        function.close().await;
    }
}

#[tokio::test]
async fn archives_are_unpacked_whether_compressed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("pack.py");
    let pack = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", int(sys.argv[2])) as archive:
    archive.writestr("package.json", '{"main": "lib/start.js"}')
    archive.writestr("lib/start.js", "exports.main = () => ({ said: require('./text') });")
    archive.writestr("lib/text.js", "module.exports = " + repr("hello " * 50) + ";")
"#;
    std::fs::write(&script, pack).unwrap();
    for method in ["0", "8"] {
        let archive = folder.path().join("code.zip");
        let packed = std::process::Command::new("python3")
            .arg(&script)
            .arg(&archive)
            .arg(method)
            .status()
            .unwrap();
        assert!(packed.success());
        let function = runtimes(&format!(
            "[[lambda]]\nname = 'f'\ncode-file = '{}'",
            archive.display()
        ));
        assert!(output(&function, "{}").await.contains("hello hello"));
        function.close().await;
    }
    let broken = runtimes("[[lambda]]\nname = 'f'\ncode-zip = 'UEsDBA=='");
    let (text, _) = failure(&broken, "{}").await;
    assert!(text.contains("Initialization has failed"), "{text}");
    broken.close().await;
}

#[tokio::test]
async fn any_command_that_speaks_the_protocol_is_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let function = runtimes(&format!(
        "[[lambda]]\nname = 'f'\nkind = 'command'\ncommand = ['python3', '{}', '{{port}}']",
        python(folder.path())
    ));
    // Its port was free when it was chosen, and may be somebody else's by the time that it serves there.
    let mut cold = run(&function, r#"{"a":1}"#).await;
    for _ in 0..2 {
        if matches!(cold, Err(ExecutionError::Unavailable { .. })) {
            cold = run(&function, r#"{"a":1}"#).await;
        }
    }
    let cold = cold.unwrap();
    assert_eq!(cold.output, r#"{"value": {"a": 1}, "name": "f"}"#);
    assert!(cold.cold_start.is_some());
    assert!(run(&function, "{}").await.unwrap().cold_start.is_none());
    let (text, _) = failure(&function, r#"{"crash":true}"#).await;
    assert!(text.contains("exited unexpectedly"), "{text}");
    assert!(run(&function, "{}").await.is_ok());
    function.close().await;
    let silent = runtimes(
        "start-within = '100ms'
         [[lambda]]\nname = 'f'\nkind = 'command'\ncommand = ['sleep', '1000']",
    );
    let failed = run(&silent, "{}").await.unwrap_err();
    assert!(
        failed.to_string().contains("does not serve within"),
        "{failed}"
    );
    silent.close().await;
}

#[tokio::test]
async fn servers_that_are_there_already_are_used_in_turn_and_their_absence_is_no_fault_of_functions()
 {
    let folder = tempfile::tempdir().unwrap();
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    let url = format!("http://127.0.0.1:{port}");
    let function = runtimes(&format!(
        "[[lambda]]\nname = 'f'\nkind = 'endpoints'\nendpoints = ['{url}']"
    ));
    let absent = run(&function, "{}").await;
    let unavailable = matches!(
        absent,
        Err(ExecutionError::Unavailable { begun: false, .. })
    );
    assert!(unavailable, "{absent:?}");
    let mut server = std::process::Command::new("python3")
        .args([python(folder.path()), port.to_string()])
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while run(&function, "{}").await.is_err() {
        assert!(Instant::now() < deadline, "it never serves");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Another computer finds it initialised, and uses it all the same.
    let other = runtimes(&format!(
        "[[lambda]]\nname = 'f'\nkind = 'endpoints'\nendpoints = ['{url}']"
    ));
    assert!(output(&other, r#"{"b":2}"#).await.contains(r#"{"b": 2}"#));
    let broken = function
        .run(invocation(r#"{"crash":true}"#), Instant::now() + PATIENCE)
        .await;
    let unavailable = matches!(broken, Err(ExecutionError::Unavailable { begun: true, .. }));
    assert!(unavailable, "{broken:?}");
    server.wait().unwrap();
    function.close().await;
    other.close().await;
}
