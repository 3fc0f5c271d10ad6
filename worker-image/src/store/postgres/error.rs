//! What Postgres and its driver say, in our words. No I/O.

use std::error::Error;

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::error::SqlState;

use super::super::StoreError;
use crate::http::cause;

/// Whether the same thing may work at once: somebody was in the way, or the connection is gone.
pub(super) fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict(_) | StoreError::Unavailable(_))
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => of_state(said.code(), said.message().to_owned()),
            None => of_connection(&error),
        }
    }
}

/// By the class of the error code; see "PostgreSQL Error Codes", appendix A of its manual.
fn of_state(state: &SqlState, message: String) -> StoreError {
    match state.code() {
        "40001" | "40P01" | "55P03" | "23505" => StoreError::Conflict(message),
        "57014" => StoreError::StatementTimeout,
        "53100" => StoreError::DatabaseFull(message),
        "42501" => StoreError::AccessDenied(message),
        "3D000" => StoreError::DatabaseNotFound(message),
        "0A000" | "58P01" if message.contains("extension \"vector\"") => StoreError::VectorMissing(message),
        code if code.starts_with("28") => StoreError::AccessDenied(message),
        // a server that starts, stops, has no room for a connection, or has become a standby
        code if ["08", "53", "57"].contains(&&code[..2]) || code == "25006" => StoreError::Unavailable(message),
        code => StoreError::Other(format!("{message} (SQLSTATE {code})")),
    }
}

fn of_connection(error: &tokio_postgres::Error) -> StoreError {
    // the driver's own messages name none
    let problem = cause(error);
    let mut source = error.source();
    while let Some(inner) = source {
        let io = inner.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref());
        let tls = inner.downcast_ref().or_else(|| io?.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_)) = tls {
            return StoreError::Certificate(problem);
        }
        source = inner.source();
    }
    let outage = error.is_closed()
        || error.source().is_none_or(|source| source.is::<std::io::Error>())
        || error.to_string().contains("error connecting");
    if error.to_string().contains("TLS") && !outage {
        return StoreError::Setting {
            field: "TLS",
            problem: format!("does not work ({error}: {problem}); if the server has none, choose Disable"),
        };
    }
    if outage { StoreError::Unavailable(format!("{error}: {problem}")) } else { StoreError::Other(problem) }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
            PoolError::Timeout(_) => Self::Unavailable("no connection has become free in time".to_owned()),
            other => Self::Other(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::failure::Classified;

    #[rstest]
    #[case::serialisation("40001", "StoreConflict")]
    #[case::deadlock("40P01", "StoreConflict")]
    #[case::timeout("57014", "StatementTimeout")]
    #[case::full("53100", "DatabaseFull")]
    #[case::too_many("53300", "StoreUnavailable")]
    #[case::shutdown("57P01", "StoreUnavailable")]
    #[case::standby("25006", "StoreUnavailable")]
    #[case::password("28P01", "StoreAccessDenied")]
    #[case::privilege("42501", "StoreAccessDenied")]
    #[case::no_database("3D000", "DatabaseNotFound")]
    #[case::syntax("42601", "StoreFailed")]
    fn a_code_has_a_reason(#[case] code: &str, #[case] reason: &str) {
        assert_eq!(of_state(&SqlState::from_code(code), "x".to_owned()).reason(), reason);
    }
}
