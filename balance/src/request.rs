//! What a pick needs to know of the request that it is for.

/// A request on its way to a destination.
///
/// The name of the lambda is enough for most policies, so a `&str` is a request, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Name of the lambda.
    pub lambda: &'a str,
    /// Size of its input in bytes: what predictions of the dispatcher's estimators depend on.
    pub input_bytes: usize,
    /// Requests with the same number belong together (a session, a state): `consistent-hash`
    /// sends them to the same destination where it can.
    pub affinity: u64,
}

impl Request<'_> {
    /// About which nothing is known but its lambda, which has been looked for already: nobody asks for
    /// the name again.
    pub(crate) const OF_KNOWN_LAMBDA: Request<'static> = Request {
        lambda: "",
        input_bytes: 0,
        affinity: 0,
    };
}

impl<'a> From<&'a str> for Request<'a> {
    fn from(lambda: &'a str) -> Self {
        Request {
            lambda,
            input_bytes: 0,
            affinity: 0,
        }
    }
}

impl<'a> From<&'a String> for Request<'a> {
    fn from(lambda: &'a String) -> Self {
        Request::from(lambda.as_str())
    }
}
