use super::*;

fn found(method: &Method, path: &str) -> Route {
    match find(method, path) {
        Ok(Target::Found(route)) => route,
        other => panic!("{method} {path}: {:?}", other.is_ok()),
    }
}

fn path(package: Option<&str>, name: &str) -> ActionPath {
    ActionPath {
        package: package.map(str::to_owned),
        name: name.to_owned(),
    }
}

#[test]
fn paths_are_decoded_segment_by_segment() {
    let base = "/api/v1/namespaces";
    let invoke = |text: &str| found(&Method::POST, &format!("{base}{text}"));
    let own = || "_".to_owned();
    assert_eq!(
        invoke("/_/actions/hello"),
        Route::Invoke(own(), path(None, "hello"))
    );
    assert_eq!(
        invoke("/_/actions/my%20pkg/a%20b"),
        Route::Invoke(own(), path(Some("my pkg"), "a b"))
    );
    assert_eq!(
        invoke("/_/actions/pkg%2Fhello"),
        Route::Invoke(own(), path(Some("pkg"), "hello"))
    );
    assert_eq!(
        invoke("/%67uest/actions/hello"),
        Route::Invoke("guest".to_owned(), path(None, "hello"))
    );
}

#[test]
fn a_slash_at_the_end_makes_a_package_of_a_name() {
    let get = |text: &str| found(&Method::GET, &format!("/api/v1/namespaces/_/actions{text}"));
    let own = || "_".to_owned();
    assert_eq!(get(""), Route::ListActions(own(), None));
    assert_eq!(get("/"), Route::ListActions(own(), None));
    assert_eq!(get("/p/"), Route::ListActions(own(), Some("p".to_owned())));
    assert_eq!(get("/p"), Route::GetAction(own(), path(None, "p")));
}

#[test]
fn what_is_nowhere_is_not_found_and_what_is_no_method_of_it_not_allowed() {
    let status = |method: Method, path: &str| {
        let refused = find(&method, path).err().unwrap();
        refused.reply("t").status().as_u16()
    };
    for path in [
        "/api/v2",
        "/api/v1/web/a/b/c",
        "/x",
        "/api/v1/namespaces/_/feeds",
        "/a/b",
    ] {
        assert_eq!(status(Method::GET, path), 404, "{path}");
    }
    for (method, path) in [
        (Method::POST, "/"),
        (Method::PATCH, "/api/v1/namespaces/_/actions/f"),
        (Method::DELETE, "/api/v1/namespaces/_/actions"),
        (Method::HEAD, "/api/v1/namespaces"),
    ] {
        assert_eq!(status(method, path), 405, "{path}");
    }
    assert_eq!(status(Method::GET, "/api/v1/namespaces/%ff/actions"), 400);
    let options = find(&Method::OPTIONS, "/api/v1/namespaces/_/actions/f");
    assert!(matches!(options, Ok(Target::Options)));
}
