//! The query of a request: what can be asked for beside the path.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use smallvec::SmallVec;

use super::reply::Problem;

/// Most rows of a list.
pub(super) const MAX_LIMIT: usize = 200;
/// Rows of a list if nobody says how many.
const USUAL_LIMIT: usize = 30;
/// Most parameters that are looked at.
const MAX_PARAMETERS: usize = 64;

/// Names and values, decoded. Of several of one name the first counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query<'a>(SmallVec<[(Cow<'a, str>, Cow<'a, str>); 4]>);

impl<'a> Query<'a> {
    /// Reads what follows the `?`.
    ///
    /// # Errors
    /// If it is no text, or has too many parts.
    pub(super) fn parse(query: &'a str) -> Result<Self, Problem> {
        let mut read = SmallVec::new();
        let mut rest = query;
        while !rest.is_empty() {
            let (pair, behind) = cut(rest, b'&').unwrap_or((rest, ""));
            rest = behind;
            if pair.is_empty() {
                continue;
            }
            if read.len() == MAX_PARAMETERS {
                return Err(Problem::bad("the query has too many parameters"));
            }
            let (name, value) = cut(pair, b'=').unwrap_or((pair, ""));
            read.push((decode(name)?, decode(value)?));
        }
        Ok(Self(read))
    }

    /// The value of `name`; an empty one counts as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| &**value)
            .filter(|value| !value.is_empty())
    }

    /// A switch.
    ///
    /// # Errors
    /// If it is neither true nor false.
    pub(super) fn flag(&self, name: &str, usual: bool) -> Result<bool, Problem> {
        match self.text(name) {
            None => Ok(usual),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(Problem::bad(&format!(
                "the query parameter `{name}` must be true or false"
            ))),
        }
    }

    /// A whole number from 0.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let number = |text: &str| {
            text.parse().map_err(|_| {
                Problem::bad(&format!(
                    "the query parameter `{name}` must be a whole number from 0"
                ))
            })
        };
        self.text(name).map(number).transpose()
    }

    /// How many rows to skip, and how many to show.
    ///
    /// # Errors
    /// If one of the two makes no sense.
    pub(super) fn page(&self) -> Result<(usize, usize), Problem> {
        let skip = usize::try_from(self.number("skip")?.unwrap_or(0)).unwrap_or(usize::MAX);
        let limit = match self.number("limit")? {
            None => USUAL_LIMIT,
            Some(0) => MAX_LIMIT,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| *limit <= MAX_LIMIT)
                .ok_or_else(|| {
                    Problem::bad(&format!(
                        "the query parameter `limit` must be from 0 to {MAX_LIMIT}"
                    ))
                })?,
        };
        Ok((skip, limit))
    }
}

/// What is before and behind the first `mark`, which is ASCII: found by hand, as a search is more
/// than these few bytes are worth.
fn cut(text: &str, mark: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == mark)?;
    Some((&text[..at], &text[at + 1..]))
}

fn decode(text: &str) -> Result<Cow<'_, str>, Problem> {
    // Mostly there is nothing to decode.
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(text.into());
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    let decoded = decoded.map_err(|_| Problem::bad("the query is not UTF-8"))?;
    Ok(decoded.into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query<'_> {
        Query::parse(text).ok().unwrap()
    }

    #[test]
    fn names_and_values_are_decoded() {
        let query = query("a=1&b=x%20y+z&c&d=&a=2&%65=%C3%BC");
        assert_eq!(query.text("a"), Some("1"));
        assert_eq!(query.text("b"), Some("x y z"));
        assert_eq!((query.text("c"), query.text("d")), (None, None));
        assert_eq!(query.text("e"), Some("ü"));
        assert!(Query::parse("a=%ff").is_err());
        assert!(Query::parse(&"a=1&".repeat(65)).is_err());
    }

    #[test]
    fn switches_and_numbers_are_checked() {
        let query = query("yes=true&no=false&odd=maybe&n=7&minus=-1");
        let flag = |name| query.flag(name, false).ok();
        assert_eq!(
            (flag("yes"), flag("no"), flag("none")),
            (Some(true), Some(false), Some(false))
        );
        assert_eq!(flag("odd"), None);
        assert_eq!(query.number("n").ok(), Some(Some(7)));
        assert!(query.number("minus").is_err());
    }

    #[test]
    fn pages_are_those_of_openwhisk() {
        let page = |text| query(text).page().ok();
        assert_eq!(page(""), Some((0, 30)));
        assert_eq!(page("limit=0&skip=7"), Some((7, 200)));
        assert_eq!(page("limit=200"), Some((0, 200)));
        assert_eq!(page("limit=201"), None);
        assert_eq!(page("limit=-1"), None);
        assert_eq!(page("skip=-1"), None);
    }
}
