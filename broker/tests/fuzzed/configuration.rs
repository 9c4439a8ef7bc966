//! What holds for any file that claims to be the configuration of a router.

use std::path::Path;

use edge_broker::Config;
use edge_daemon::layers::Layers;

/// Panics if a file that is accepted does not come back as it was from what `--print-config` says.
pub(crate) fn check(data: &[u8], folder: &Path) {
    let (given, printed) = (folder.join("given.toml"), folder.join("printed.toml"));
    std::fs::write(&given, data).expect("the folder can be written to");
    let load = |file: &Path| {
        Layers::new("edgerouter")
            .environment::<String, String>([])
            .file(file)
            .load::<Config>()
    };
    match load(&given) {
        Ok(loaded) => {
            let text = loaded.to_toml().expect("what was read can be written");
            std::fs::write(&printed, &text).expect("the folder can be written to");
            let again = load(&printed).expect("what was printed can be read");
            // As text, in which a number that is none equals itself.
            assert_eq!(again.to_toml().expect("as before"), text);
            // Out of range or not: it says so, and nothing else.
            drop(loaded.config.check());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
