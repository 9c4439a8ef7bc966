//! Lists: a page of rows, or how many there are.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;

use super::Asked;
use super::reply::{Problem, Reply};

/// The page of `rows` that was asked for, as `view` shows them, or their number as a member named
/// `collection`.
pub(super) fn page<R, T: Serialize>(
    asked: &Asked<'_>,
    collection: &'static str,
    rows: Vec<R>,
    view: impl Fn(R) -> T,
) -> Result<Reply, Problem> {
    let (skip, limit) = asked.query.page()?;
    if asked.query.flag("count", false)? {
        return Ok(count(collection, rows.len().saturating_sub(skip)));
    }
    let page = rows.into_iter().skip(skip).take(limit);
    let page: Vec<T> = page.map(view).collect();
    Ok(Reply::json(StatusCode::OK, &page))
}

pub(super) fn count(collection: &'static str, number: usize) -> Reply {
    Reply::json(StatusCode::OK, &BTreeMap::from([(collection, number)]))
}

/// The list of what there is not.
pub(super) fn nothing(asked: &Asked<'_>, collection: &'static str) -> Result<Reply, Problem> {
    page(asked, collection, Vec::<()>::new(), |none| none)
}
