//! The valid name that a mistyped one most resembles.

/// Returns the candidate most similar to `name`, or `None` when none bears a
/// useful resemblance (Damerau-Levenshtein distance of more than half its length).
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| distance * 2 <= candidate.chars().count().max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The end of an error message about an unknown name: what was probably meant and
/// what is valid.
pub(crate) fn advice(name: &str, valid: &[&str]) -> String {
    if valid.is_empty() {
        return "no name is valid here".to_owned();
    }
    let list = valid.join(", ");
    match nearest(name, valid.iter().copied()) {
        Some(best) => format!("did you mean `{best}`? (valid: {list})"),
        None => format!("valid: {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposition_finds_its_name() {
        assert_eq!(nearest("alpah", ["beta", "alpha"]), Some("alpha"));
    }

    #[test]
    fn a_stranger_finds_nothing() {
        assert_eq!(nearest("zzzz", ["alpha", "beta"]), None);
    }

    #[test]
    fn advice_lists_what_is_valid() {
        assert_eq!(
            advice("randon", &["random", "round-robin"]),
            "did you mean `random`? (valid: random, round-robin)"
        );
        assert_eq!(advice("x", &["random"]), "valid: random");
    }
}
