//! What a conf string means once its keys are known.

use super::*;

static TABLE: ConfSchema = ConfSchema {
    option: "--table-conf",
    section: "table",
    kinds: &[
        Kind {
            name: "random",
            keys: &[],
        },
        Kind {
            name: "round-robin",
            keys: &[Key::float("stale-period")],
        },
        Kind {
            name: "proportional-fairness",
            keys: &[Key::float("alpha"), Key::float("beta")],
        },
    ],
    common: &[
        Key::integer("seed"),
        Key::boolean("fake"),
        Key::text("name"),
    ],
};

fn read(text: &str) -> Result<Fragment, ConfStringProblem> {
    TABLE.read(text, None).map_err(|error| error.problem)
}

#[test]
fn every_type_of_value_reaches_the_table() {
    let fragment =
        read("type=proportional-fairness,alpha=1e1,beta=-2,seed=42,fake=Yes,name=10").unwrap();
    let expected: Table = toml::from_str(
        "type = 'proportional-fairness'\nalpha = 10.0\nbeta = -2.0\nseed = 42\nfake = true\nname = '10'",
    )
    .unwrap();
    assert_eq!(
        fragment,
        Fragment {
            table: expected,
            warnings: vec![]
        }
    );
}

#[test]
fn an_empty_string_says_nothing() {
    assert_eq!(read("").unwrap(), Fragment::default());
}

#[test]
fn booleans_are_those_of_the_reference() {
    for (text, expected) in [
        ("true", true),
        ("TRUE", true),
        ("yes", true),
        ("YeS", true),
        ("1", true),
        ("false", false),
        ("False", false),
        ("no", false),
        ("NO", false),
        ("0", false),
    ] {
        let fragment = read(&format!("fake={text}")).unwrap();
        assert_eq!(fragment.table["fake"].as_bool(), Some(expected), "{text}");
    }
    for text in ["2", "-1", "0.0", "1.0", "yessir"] {
        assert!(read(&format!("fake={text}")).is_err(), "{text}");
    }
}

#[test]
fn numbers_are_numbers_to_their_last_character() {
    for text in [
        "seed=10abc",
        "seed=3.14",
        "seed=aaa",
        "alpha=1.5s",
        "alpha=nan",
        "alpha=inf",
        "alpha=1e999",
    ] {
        assert!(
            matches!(read(text), Err(ConfStringProblem::InvalidValue { .. })),
            "{text}"
        );
    }
    let error = TABLE.read("fake=1,seed=10abc", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid --table-conf `fake=1,seed=10abc`: invalid value `10abc` for key `seed`, \
         expected a whole number (at character 8)"
    );
}

#[test]
fn the_first_of_a_repeated_key_counts_and_the_second_warns() {
    let fragment = read("seed=1,seed=2").unwrap();
    assert_eq!(fragment.table["seed"].as_integer(), Some(1));
    assert_eq!(
        fragment.warnings,
        ["--table-conf: key `seed` is given more than once, `2` is ignored"]
    );
}

#[test]
fn a_key_of_another_kind_warns_and_is_ignored() {
    let fragment = read("type=random,alpha=1").unwrap();
    assert!(!fragment.table.contains_key("alpha"));
    assert_eq!(
        fragment.warnings,
        ["--table-conf: key `alpha` means nothing to type `random` and is ignored"]
    );
}

#[test]
fn the_type_in_force_counts_where_the_string_names_none() {
    let fragment = TABLE
        .read("alpha=1", Some("proportional-fairness"))
        .unwrap();
    assert_eq!(fragment.table["alpha"].as_float(), Some(1.0));
    assert_eq!(fragment.warnings, Vec::<String>::new());
    let fragment = TABLE.read("alpha=1", Some("random")).unwrap();
    assert!(fragment.table.is_empty());
    assert_eq!(fragment.warnings.len(), 1);
}

#[test]
fn a_key_of_no_kind_is_an_error_that_names_the_nearest() {
    let error = TABLE.read("type=random,alpah=1", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid --table-conf `type=random,alpah=1`: unknown key `alpah`: did you mean `alpha`? \
         (valid: alpha, beta, fake, name, seed, stale-period, type) (at character 13)"
    );
}

#[test]
fn an_unknown_type_is_an_error_that_lists_the_valid_ones() {
    let error = TABLE.read("type=round-robbin", None).unwrap_err();
    assert!(error.to_string().contains(
        "unknown type `round-robbin`: did you mean `round-robin`? \
         (valid: random, round-robin, proportional-fairness)"
    ));
}

#[test]
fn an_option_without_kinds_takes_no_type() {
    static ROUTER: ConfSchema = ConfSchema {
        option: "--router-conf",
        section: "router",
        kinds: &[],
        common: &[Key::integer("max-pending-clients")],
    };
    let error = ROUTER.read("type=x", None).unwrap_err();
    assert!(matches!(
        error.problem,
        ConfStringProblem::UnknownKey { .. }
    ));
    let fragment = ROUTER.read("max-pending-clients=2", None).unwrap();
    assert_eq!(fragment.table["max-pending-clients"].as_integer(), Some(2));
}

#[test]
fn a_malformed_string_is_quoted_whole() {
    let error = TABLE.read("seed=1,=2", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid --table-conf `seed=1,=2`: no key before `=` (at character 8)"
    );
}
