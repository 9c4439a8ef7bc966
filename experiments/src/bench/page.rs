//! Reads a page of an admin endpoint.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use edge_transport::Endpoint;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;

/// Longest time that a page may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The text of the page at `path`.
pub(crate) async fn read(endpoint: &Endpoint, path: &str) -> anyhow::Result<String> {
    tokio::time::timeout(PATIENCE, fetch(endpoint, path))
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {PATIENCE:?}")))
        .with_context(|| format!("cannot read http://{endpoint}{path}"))
}

/// The metric `name` on a page of whole numbers, summed over its labels.
pub(crate) fn total(page: &str, name: &str) -> anyhow::Result<u64> {
    let values: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.split_whitespace().last())
        .collect();
    anyhow::ensure!(!values.is_empty(), "no {name} in the metrics");
    values
        .into_iter()
        .try_fold(0, |sum, value| Ok(sum + value.parse::<u64>()?))
}

#[expect(
    clippy::disallowed_methods,
    reason = "`read` has a time-out for all of it"
)]
async fn fetch(endpoint: &Endpoint, path: &str) -> anyhow::Result<String> {
    let stream = tokio::net::TcpStream::connect((endpoint.host(), endpoint.port())).await?;
    let (mut requests, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = http::Request::get(path)
        .header(http::header::HOST, endpoint.to_string())
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let answer = requests.send_request(request).await?;
        anyhow::ensure!(answer.status().is_success(), "status {}", answer.status());
        Ok(answer.into_body().collect().await?.to_bytes())
    };
    let (page, connected) = tokio::join!(exchange, connection);
    let page = page?;
    connected?;
    Ok(String::from_utf8(page.to_vec())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_the_sum_over_its_labels() {
        let page = "# TYPE requests counter\n\
                    requests_total{outcome=\"ok\"} 5\n\
                    requests_total{outcome=\"not found\"} 2\n\
                    requests_total_of_others 9\n\
                    retries_total 1\n# EOF\n";
        assert_eq!(total(page, "requests_total").unwrap(), 7);
        assert_eq!(total(page, "retries_total").unwrap(), 1);
        assert!(total(page, "refusals_total").is_err());
    }
}
