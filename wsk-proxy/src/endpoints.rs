//! Several end-points, as a list in TOML, or separated by commas on the command line.

use edge_transport::{Endpoint, EndpointError};
use serde::{Deserialize, Serialize};

/// End-points in an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Vec<Endpoint>")]
pub struct Endpoints(Vec<Endpoint>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    List(Vec<String>),
}

impl Endpoints {
    /// All of them.
    pub fn as_slice(&self) -> &[Endpoint] {
        &self.0
    }
}

impl From<Endpoint> for Endpoints {
    fn from(endpoint: Endpoint) -> Self {
        Self(vec![endpoint])
    }
}

impl From<Vec<Endpoint>> for Endpoints {
    fn from(endpoints: Vec<Endpoint>) -> Self {
        Self(endpoints)
    }
}

impl From<Endpoints> for Vec<Endpoint> {
    fn from(endpoints: Endpoints) -> Self {
        endpoints.0
    }
}

impl TryFrom<Written> for Endpoints {
    type Error = EndpointError;

    fn try_from(written: Written) -> Result<Self, EndpointError> {
        let texts = match written {
            Written::Text(text) if text.trim().is_empty() => Vec::new(),
            Written::Text(text) => text.split(',').map(str::to_owned).collect(),
            Written::List(texts) => texts,
        };
        let parsed: Result<Vec<Endpoint>, _> =
            texts.iter().map(|text| text.trim().parse()).collect();
        parsed.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Section {
        endpoints: Endpoints,
    }

    #[test]
    fn lists_and_commas_mean_the_same() {
        let read = |text: &str| toml::from_str::<Section>(text).map(|section| section.endpoints);
        let two: Endpoints = vec![Endpoint::new("a", 1), Endpoint::new("b", 2)].into();
        assert_eq!(read("endpoints = ['a:1', 'b:2']").unwrap(), two);
        assert_eq!(read("endpoints = 'a:1, b:2'").unwrap(), two);
        assert_eq!(read("endpoints = ''").unwrap(), Endpoints::default());
        assert!(read("endpoints = 'a:1,'").is_err());
        assert!(read("endpoints = ['a']").is_err());
    }
}
