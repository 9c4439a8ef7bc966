//! How Envoy is set up: as its guides advise for gRPC in production.

use edge_transport::Endpoint;
use serde_json::{Value, json};

use super::peer::Options;

/// The configuration of one Envoy that listens at `listen`, as JSON, which is YAML.
///
/// - `LEAST_REQUEST`: of two random computers the one with fewer active requests, its default;
///   with `options.full_scan` the best of all.
/// - Retries as Istio makes them by default (connect failures, refused streams, `UNAVAILABLE`,
///   `CANCELLED`; not at a computer that was tried already), with a retry budget of 20 % as ours;
///   lost connections only where requests may be repeated.
/// - Active gRPC health checks, outlier detection and HTTP/2 keep-alive, all faster than usual,
///   so that troubles of a few seconds are noticed; keep-alive as in our router.
/// - Limits out of the way.
pub(super) fn config(
    listen: &Endpoint,
    admin: &Endpoint,
    computers: &[Endpoint],
    options: &Options,
) -> String {
    let mut retry_on = "connect-failure,refused-stream,unavailable,cancelled".to_owned();
    if options.idempotent {
        retry_on += ",reset";
    }
    let route = json!({
        "cluster": "computers",
        "timeout": "0s",
        "max_stream_duration": { "grpc_timeout_header_max": "0s" },
        "retry_policy": {
            "retry_on": retry_on,
            "num_retries": 2,
            "retry_back_off": { "base_interval": "0.025s" },
            "retry_host_predicate": [{
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": typed("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate", json!({})),
            }],
            "host_selection_retry_max_attempts": 5,
        },
    });
    let http = json!({
        "stat_prefix": "ingress",
        "codec_type": "HTTP2",
        "http2_protocol_options": { "max_concurrent_streams": 10_000 },
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": route }],
        }]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": typed("envoy.extensions.filters.http.router.v3.Router", json!({})),
        }],
    });
    let manager =
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({
        "admin": { "address": address(admin) },
        "static_resources": {
            "listeners": [{
                "name": "lambda",
                "address": address(listen),
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": typed(manager, http),
                }]}],
            }],
            "clusters": [cluster(computers, options)],
        },
    })
    .to_string()
}

fn cluster(computers: &[Endpoint], options: &Options) -> Value {
    let endpoints: Vec<_> = computers
        .iter()
        .map(|computer| json!({ "endpoint": { "address": address(computer) } }))
        .collect();
    let protocol = json!({ "explicit_http_config": { "http2_protocol_options": {
        "max_concurrent_streams": 10_000,
        "connection_keepalive": { "interval": "0.4s", "timeout": "1.2s" },
    }}});
    let mut cluster = json!({
        "name": "computers",
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", protocol),
        },
        "circuit_breakers": { "thresholds": [{
            "max_connections": 10_000,
            "max_pending_requests": 10_000,
            "max_requests": 10_000,
            "retry_budget": { "budget_percent": { "value": 20.0 }, "min_retry_concurrency": 10 },
        }]},
        "health_checks": [{
            "timeout": "0.5s",
            "interval": "0.5s",
            "no_traffic_interval": "0.5s",
            "unhealthy_threshold": 2,
            "healthy_threshold": 1,
            "grpc_health_check": {},
        }],
        "outlier_detection": {
            "consecutive_5xx": 5,
            "consecutive_gateway_failure": 5,
            "enforcing_consecutive_gateway_failure": 100,
            "interval": "1s",
            "base_ejection_time": "2s",
            "max_ejection_percent": 50,
        },
        "load_assignment": {
            "cluster_name": "computers",
            "endpoints": [{ "lb_endpoints": endpoints }],
        },
    });
    if options.full_scan {
        let policy = "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest";
        cluster["load_balancing_policy"] = json!({ "policies": [{ "typed_extension_config": {
            "name": "envoy.load_balancing_policies.least_request",
            "typed_config": typed(policy, json!({ "selection_method": "FULL_SCAN" })),
        }}]});
    }
    cluster
}

fn address(endpoint: &Endpoint) -> Value {
    json!({ "socket_address": { "address": endpoint.host(), "port_value": endpoint.port() } })
}

/// `config` as a message of this type.
fn typed(name: &str, mut config: Value) -> Value {
    config["@type"] = Value::from(format!("type.googleapis.com/{name}"));
    config
}

/// Retries, from the page `/stats` of the admin endpoint.
pub(super) fn retries(page: &str) -> Option<u64> {
    let (_, value) = page
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| *name == "cluster.computers.upstream_rq_retry")?;
    value.trim().parse().ok()
}
