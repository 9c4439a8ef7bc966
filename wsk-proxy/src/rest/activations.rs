//! What became of invocations.

use http::StatusCode;

use super::Asked;
use super::list::count;
use super::query::Query;
use super::reply::{Problem, Reply};
use super::route::Part;
use crate::activation::ActivationId;
use crate::record;
use crate::store::Filter;

pub(super) fn list(asked: &Asked<'_>) -> Result<Reply, Problem> {
    let store = &asked.lane.shared.archive.store;
    let query = &asked.query;
    let (skip, limit) = query.page()?;
    let filter = filter(query)?;
    let docs = query.flag("docs", false)?;
    if query.flag("count", false)? {
        if docs {
            return Err(Problem::bad("`docs` and `count` exclude each other"));
        }
        let number = store.count(&asked.namespace, &filter);
        return Ok(count("activations", number.saturating_sub(skip)));
    }
    let found = store.list(&asked.namespace, &filter, skip, limit);
    Ok(if docs {
        let rows: Vec<_> = found
            .iter()
            .map(|activation| record::full(activation))
            .collect();
        Reply::json(StatusCode::OK, &rows)
    } else {
        let rows: Vec<_> = found
            .iter()
            .map(|activation| record::brief(activation))
            .collect();
        Reply::json(StatusCode::OK, &rows)
    })
}

pub(super) fn get(asked: &Asked<'_>, id: &str, part: Part) -> Result<Reply, Problem> {
    let id: ActivationId = id
        .parse()
        .map_err(|error| Problem::bad(&format!("{error}")))?;
    let found = asked.lane.shared.archive.store.get(&asked.namespace, id);
    let activation = found.ok_or_else(|| Problem::not_found("activation"))?;
    Ok(match part {
        Part::All => Reply::json(StatusCode::OK, &record::full(&activation)),
        Part::Result => Reply::json(StatusCode::OK, &record::response(&activation)),
        Part::Logs => Reply::json(StatusCode::OK, &record::logs(&activation)),
    })
}

fn filter(query: &Query<'_>) -> Result<Filter, Problem> {
    Ok(Filter {
        name: query.text("name").map(str::to_owned),
        since: query.number("since")?,
        upto: query.number("upto")?,
    })
}
