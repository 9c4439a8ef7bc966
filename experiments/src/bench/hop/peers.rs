//! How the programs of others are set up: the files in `experiments/hop`, with addresses filled in.

use std::path::Path;

use anyhow::Context as _;
use edge_transport::Endpoint;

use super::kind::Kind;
use crate::bench::process::Process;

const ENVOY: &str = include_str!("../../../hop/envoy.yaml");
const HAPROXY: &str = include_str!("../../../hop/haproxy.cfg");
const NGINX: &str = include_str!("../../../hop/nginx.conf");

/// Starts `program` at `listen`, before `computer`; its files are in `folder`. It is not ready yet.
pub(super) fn start(
    kind: Kind,
    program: &Path,
    listen: &Endpoint,
    computer: &Endpoint,
    folder: &Path,
) -> anyhow::Result<Process> {
    let (template, name) = match kind {
        Kind::Envoy => (ENVOY, "envoy.yaml"),
        Kind::Haproxy => (HAPROXY, "haproxy.cfg"),
        Kind::Nginx => (NGINX, "nginx.conf"),
        Kind::Direct
        | Kind::Router
        | Kind::RouterTls
        | Kind::RouterQuic
        | Kind::RouterH3
        | Kind::Floor => {
            anyhow::bail!("{} has no configuration file", kind.name())
        }
    };
    let file = folder.join(name);
    let folder = folder.to_str().context("a folder whose name is no text")?;
    let text = fill_in(template, listen, computer, folder);
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let file_name = file.display().to_string();
    let arguments: &[&str] = match kind {
        Kind::Envoy => &[
            "--config-path",
            &file_name,
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ],
        // In the foreground: our child, not its child.
        Kind::Haproxy => &["-db", "-f", &file_name],
        _ => &["-p", folder, "-c", &file_name],
    };
    let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
    Process::start_silent(program, &arguments, &file.with_extension("log"))
}

fn fill_in(template: &str, listen: &Endpoint, computer: &Endpoint, folder: &str) -> String {
    let mut text = template.replace("{{folder}}", folder);
    for (name, endpoint) in [("listen", listen), ("computer", computer)] {
        text = text
            .replace(&format!("{{{{{name}}}}}"), endpoint.as_str())
            .replace(&format!("{{{{{name}_host}}}}"), endpoint.host())
            .replace(
                &format!("{{{{{name}_port}}}}"),
                &endpoint.port().to_string(),
            );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_fill_in() {
        let listen = Endpoint::new("127.0.0.1", 20_000);
        let computer = Endpoint::new("127.0.0.1", 20_001);
        for template in [ENVOY, HAPROXY, NGINX] {
            let text = fill_in(template, &listen, &computer, "/tmp/folder");
            assert!(!text.contains("{{") && !text.contains("}}"), "{text}");
            assert!(text.contains("20000") && text.contains("20001"), "{text}");
        }
    }
}
