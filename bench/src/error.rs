//! Failures of the bench: a text for the person who runs it. Nothing here is handled by kind.

use std::{fmt, future::Future, time::Duration};

/// What went wrong, with what was being done.
#[derive(Debug)]
pub(crate) struct Error(String);

/// The result of anything that can fail here.
pub(crate) type Fallible<T> = Result<T, Error>;

impl Error {
    /// An error with this text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Says what was being done when it failed.
pub(crate) trait Doing<T> {
    /// Prefixes the error with `what`.
    fn doing(self, what: impl fmt::Display) -> Fallible<T>;
}

impl<T, E: fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Fallible<T> {
        self.map_err(|e| Error(format!("{what}: {e}")))
    }
}

/// Bounds `work`: whatever hangs ends the run with a text that names it.
pub(crate) async fn within<T>(
    limit: Duration,
    what: impl fmt::Display,
    work: impl Future<Output = Fallible<T>>,
) -> Fallible<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Error(format!("{what}: not done within {} s", limit.as_secs()))),
    }
}
