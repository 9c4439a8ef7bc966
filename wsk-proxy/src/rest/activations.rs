//! What became of invocations.

use http::StatusCode;

use super::Asked;
use super::list::count;
use super::query::Query;
use super::reply::{Problem, Reply};
use super::route::Part;
use super::rows::Rows;
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
    if docs {
        let ids = store.ids(&asked.namespace, &filter, skip, limit);
        let rows = Rows::new(asked.lane.shared.clone(), asked.namespace.clone(), ids);
        return Ok(Reply::rows(rows));
    }
    let found = store.list(&asked.namespace, &filter, skip, limit);
    Ok(Reply::written(
        StatusCode::OK,
        record::brief_list(&found).into(),
    ))
}

pub(super) fn get(asked: &Asked<'_>, id: &str, part: Part) -> Result<Reply, Problem> {
    let id: ActivationId = id
        .parse()
        .map_err(|error| Problem::bad(&format!("{error}")))?;
    let found = asked.lane.shared.archive.store.get(&asked.namespace, id);
    let activation = found.ok_or_else(|| Problem::not_found("activation"))?;
    let json = match part {
        Part::All => record::full(&activation),
        Part::Result => record::response(&activation),
        Part::Logs => record::logs(&activation),
    };
    Ok(Reply::written(StatusCode::OK, json.into()))
}

fn filter(query: &Query<'_>) -> Result<Filter, Problem> {
    Ok(Filter {
        name: query.text("name").map(str::to_owned),
        since: query.number("since")?,
        upto: query.number("upto")?,
    })
}
