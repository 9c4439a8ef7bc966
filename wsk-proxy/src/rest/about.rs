//! What the proxy says of itself: what anybody may know, namespaces, limits.

use http::StatusCode;
use hyper::body::Bytes;
use serde_json::json;

use super::Asked;
use super::actions::{ALIAS, SEQUENCE};
use super::reply::{Problem, Reply};
use super::route::Route;
use crate::lane::Lane;
use crate::shared::Shared;

/// The description of the interface for programs, kept by hand.
const OPENAPI: &str = include_str!("../../openapi.json");

/// What stands for "no limit" where clients expect a number.
const NO_LIMIT: u32 = i32::MAX as u32;

/// Answers what needs no credentials.
pub(super) fn public(lane: &Lane, route: &Route<'_>) -> Result<Reply, Problem> {
    match route {
        Route::Info => Ok(Reply::json(StatusCode::OK, &info(&lane.shared))),
        Route::ApiInfo => Ok(Reply::json(StatusCode::OK, &api_info())),
        Route::Ping => Ok(Reply::text("pong")),
        Route::ApiDocs => {
            let document = Bytes::from_static(OPENAPI.as_bytes());
            Ok(Reply::written(StatusCode::OK, document))
        }
        _ => Err(Problem::unauthorized()),
    }
}

pub(super) fn namespaces(asked: &Asked<'_>) -> Reply {
    Reply::json(StatusCode::OK, &[&*asked.identity.namespace])
}

pub(super) fn limits(asked: &Asked<'_>) -> Reply {
    let config = &asked.lane.shared.config;
    let allowance = asked.identity.allowance;
    let timeout = millis(config.invoke.action_timeout);
    let limits = json!({
        "invocationsPerMinute": or_none(allowance.invocations_per_minute),
        "concurrentInvocations": or_none(allowance.concurrent_invocations),
        "firesPerMinute": 0,
        "allowedKinds": [SEQUENCE, ALIAS],
        "storeActivations": true,
        "minActionTimeout": timeout,
        "maxActionTimeout": timeout,
        "minActionMemory": 256,
        "maxActionMemory": 256,
        "minActionLogs": 0,
        "maxActionLogs": 10,
        "minActionConcurrency": 1,
        "maxActionConcurrency": 1,
        "maxParameterSize": format!("{} B", config.limits.max_body_bytes),
    });
    Reply::json(StatusCode::OK, &limits)
}

fn info(shared: &Shared) -> serde_json::Value {
    let config = &shared.config;
    let timeout = millis(config.invoke.action_timeout);
    json!({
        "description": "serverless-on-edge: OpenWhisk's interface in front of edge computers",
        "support": {
            "github": "https://github.com/ccicconetti/serverlessonedge",
            "slack": "",
        },
        "api_paths": ["/api/v1"],
        "limits": {
            "actions_per_minute": or_none(config.limits.invocations_per_minute),
            "concurrent_actions": or_none(config.limits.concurrent_invocations),
            "triggers_per_minute": 0,
            "sequence_length": config.invoke.max_steps,
            "default_min_action_duration": timeout,
            "default_max_action_duration": timeout,
            "min_action_duration": timeout,
            "max_action_duration": timeout,
            "default_min_action_memory": 256 << 20,
            "default_max_action_memory": 256 << 20,
            "min_action_memory": 256 << 20,
            "max_action_memory": 256 << 20,
            "default_min_action_logs": 0,
            "default_max_action_logs": 10 << 20,
            "min_action_logs": 0,
            "max_action_logs": 10 << 20,
        },
        "runtimes": {
            "blackboxes": [{
                "kind": "blackbox",
                "default": true,
                "deprecated": false,
                "requireMain": false,
                "attached": false,
                "image": "soe/lambda",
            }],
        },
    })
}

fn api_info() -> serde_json::Value {
    json!({
        "description": "serverless-on-edge API",
        "api_version": "1.0.0",
        "api_version_path": "v1",
        "build": env!("CARGO_PKG_VERSION"),
        "buildno": env!("CARGO_PKG_VERSION"),
        "swagger_paths": {
            "ui": "/api-docs",
            "api-docs": "/api-docs",
        },
    })
}

fn or_none(limit: u32) -> u32 {
    if limit == 0 { NO_LIMIT } else { limit }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
