//! How the programs of others are set up: the files in `experiments/hop`, with addresses and encryption
//! filled in.

mod encryption;

use std::path::Path;

use anyhow::Context as _;
use edge_transport::Endpoint;

use self::encryption::Sides;
use super::kind::Kind;
use crate::bench::process::Process;

const ENVOY: &str = include_str!("../../../hop/envoy.yaml");
const HAPROXY: &str = include_str!("../../../hop/haproxy.cfg");
const NGINX: &str = include_str!("../../../hop/nginx.conf");

/// Starts `program` at `listen`, before `computer`; its files are in `folder`, and so are the certificates
/// if it is to encrypt. It is not ready yet.
pub(super) fn start(
    kind: Kind,
    program: &Path,
    listen: &Endpoint,
    computer: &Endpoint,
    folder: &Path,
) -> anyhow::Result<Process> {
    let (template, extension, sides) = match kind {
        Kind::Envoy => (ENVOY, "yaml", Sides::PLAIN),
        Kind::Haproxy => (HAPROXY, "cfg", Sides::PLAIN),
        Kind::Nginx => (NGINX, "conf", Sides::PLAIN_NGINX),
        Kind::EnvoyTls => (ENVOY, "yaml", Sides::ENVOY),
        Kind::HaproxyTls => {
            encryption::bundle(folder)?;
            (HAPROXY, "cfg", Sides::HAPROXY)
        }
        Kind::NginxTls => (NGINX, "conf", Sides::NGINX),
        Kind::Direct
        | Kind::Router
        | Kind::RouterTls
        | Kind::RouterQuic
        | Kind::RouterH3
        | Kind::Floor
        | Kind::FloorTls => {
            anyhow::bail!("{} has no configuration file", kind.name())
        }
    };
    let name = kind.name();
    let folder_name = folder.to_str().context("a folder whose name is no text")?;
    let text = fill_in(template, &sides, listen, computer, folder_name);
    let file = folder.join(format!("{name}.{extension}"));
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let file_name = file.display().to_string();
    let arguments: &[&str] = match kind {
        Kind::Envoy | Kind::EnvoyTls => &[
            "--config-path",
            &file_name,
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ],
        // In the foreground: our child, not its child.
        Kind::Haproxy | Kind::HaproxyTls => &["-db", "-f", &file_name],
        _ => &["-p", folder_name, "-c", &file_name],
    };
    let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
    Process::start_silent(program, &arguments, &file.with_extension("log"))
}

fn fill_in(
    template: &str,
    sides: &Sides,
    listen: &Endpoint,
    computer: &Endpoint,
    folder: &str,
) -> String {
    let mut text = template
        .replace("{{front}}", sides.front)
        .replace("{{back}}", sides.back)
        .replace("{{folder}}", folder);
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
        for (template, sides) in [
            (ENVOY, Sides::PLAIN),
            (ENVOY, Sides::ENVOY),
            (HAPROXY, Sides::PLAIN),
            (HAPROXY, Sides::HAPROXY),
            (NGINX, Sides::PLAIN_NGINX),
            (NGINX, Sides::NGINX),
        ] {
            let text = fill_in(template, &sides, &listen, &computer, "/tmp/folder");
            let settings: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
            let settings = settings.join("\n");
            assert!(
                !settings.contains("{{") && !settings.contains("}}"),
                "{settings}"
            );
            assert!(
                settings.contains("20000") && settings.contains("20001"),
                "{settings}"
            );
            let encrypts = settings.contains("/tmp/folder/ca.crt");
            assert_eq!(encrypts, sides.front.contains("ca.crt"));
        }
    }
}
