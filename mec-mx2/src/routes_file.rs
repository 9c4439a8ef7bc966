//! Routes from a file of triples, as the C++ reference reads them.

use std::path::{Path, PathBuf};

use crate::book::Route;
use crate::model::Reference;

/// A file that holds no routes.
#[derive(Debug, thiserror::Error)]
pub enum RoutesFileError {
    /// It cannot be read.
    #[error("cannot read routes from {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{}: {what}; expected `client application end-point`, the client `*` for any", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// Reads triples of client (`*` for any), application and end-point, separated by blanks
/// and line ends.
///
/// # Errors
/// If the file cannot be read, holds none, or an incomplete one.
pub fn read_routes(path: &Path) -> Result<Vec<Route>, RoutesFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| RoutesFileError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|what| RoutesFileError::Malformed {
        path: path.to_owned(),
        what,
    })
}

fn parse(text: &str) -> Result<Vec<Route>, String> {
    let words: Vec<_> = text.split_whitespace().collect();
    if words.is_empty() {
        return Err("it is empty".to_owned());
    }
    let routes = words.chunks(3).map(|triple| match *triple {
        [client, app, server] => Ok(Route {
            client: if client == "*" { "" } else { client }.to_owned(),
            app: app.to_owned(),
            reference: Reference::parse(server).ok_or(format!("`{server}` is no end-point"))?,
        }),
        _ => Err(format!("`{}` is incomplete", triple.join(" "))),
    });
    routes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_triples_are_four_routes_and_anything_incomplete_is_none() {
        let good = "10.0.0.1 a h:1\n* a h:2\n10.0.0.1 b h:3 * b h:4";
        let routes = parse(good).unwrap();
        assert_eq!(routes.len(), 4);
        assert_eq!(
            (routes[1].client.as_str(), routes[1].reference.as_str()),
            ("", "h:2")
        );
        for bad in ["", " \n", "a c", "a b c d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(read_routes(Path::new("/nonexistent")).is_err());
    }
}
