use super::*;

/// Finds `path`, which must lead to this.
fn leads(method: &Method, path: &str, expected: Route<'_>) {
    let decoded = decode(path).ok().unwrap();
    match find(method, &decoded) {
        Ok(Target::Found(route)) => assert_eq!(route, expected, "{method} {path}"),
        other => panic!("{method} {path}: {:?}", other.is_ok()),
    }
}

fn path<'a>(package: Option<&'a str>, name: &'a str) -> ActionPath<'a> {
    ActionPath { package, name }
}

#[test]
fn paths_are_decoded_segment_by_segment() {
    for (below, namespace, package, name) in [
        ("_/actions/hello", "_", None, "hello"),
        ("_/actions/my%20pkg/a%20b", "_", Some("my pkg"), "a b"),
        ("_/actions/pkg%2Fhello", "_", Some("pkg"), "hello"),
        ("%67uest/actions/hello", "guest", None, "hello"),
    ] {
        let expected = Route::Invoke(namespace, path(package, name));
        leads(
            &Method::POST,
            &format!("/api/v1/namespaces/{below}"),
            expected,
        );
    }
}

#[test]
fn a_slash_at_the_end_makes_a_package_of_a_name() {
    for (end, expected) in [
        ("", Route::ListActions("_", None)),
        ("/", Route::ListActions("_", None)),
        ("/p/", Route::ListActions("_", Some("p"))),
        ("/p", Route::GetAction("_", path(None, "p"))),
    ] {
        let path = format!("/api/v1/namespaces/_/actions{end}");
        leads(&Method::GET, &path, expected);
    }
}

#[test]
fn head_leads_where_get_does() {
    for path in ["/", "/ping", "/api/v1/namespaces/_/actions/p/f"] {
        let get = find(&Method::GET, path).ok().unwrap();
        assert_eq!(find(&Method::HEAD, path).ok().unwrap(), get);
    }
}

#[test]
fn what_is_nowhere_is_not_found_and_what_is_no_method_of_it_not_allowed() {
    let status = |method: Method, path: &str| {
        let found = |path: &str| find(&method, path).err();
        let refused = decode(path).map_or_else(Some, |path| found(&path));
        refused.unwrap().reply("t").status().as_u16()
    };
    for path in [
        "/api/v2",
        "/api/v1/web/a/b/c",
        "/x",
        "/api/v1/namespaces/_/feeds",
        "/a/b",
        "/api/v1/namespaces/guest",
        "/api/v1/namespaces/_/actions/a/b/c",
        "/api/v1/namespaces/_/actions/a/b/c/d/e",
    ] {
        assert_eq!(status(Method::GET, path), 404, "{path}");
    }
    for (method, path) in [
        (Method::POST, "/"),
        (Method::PATCH, "/api/v1/namespaces/_/actions/f"),
        (Method::DELETE, "/api/v1/namespaces/_/actions"),
        (Method::TRACE, "/api/v1/namespaces"),
    ] {
        assert_eq!(status(method, path), 405, "{path}");
    }
    assert_eq!(status(Method::GET, "/api/v1/namespaces/%ff/actions"), 400);
    let options = find(&Method::OPTIONS, "/api/v1/namespaces/_/actions/f");
    assert!(matches!(options, Ok(Target::Options)));
}
