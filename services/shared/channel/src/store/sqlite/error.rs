//! What SQLite's errors mean to a store.

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

/// A statement that failed fails its job, and so its transaction: nothing of it is durable. (Whether a *commit* that failed is
/// durable only the writer can ask.)
impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if is_corruption(&error) {
            StoreError::Corrupt(error.to_string().into())
        } else {
            StoreError::NotCommitted(error.to_string().into())
        }
    }
}

/// Whether the file, or a value in it, can't be what this version wrote.
pub(super) fn is_corruption(error: &Error) -> bool {
    match error {
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => true,
        _ => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    }
}

/// A stored value that this version can't have written.
pub(super) fn corrupt(what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(what.to_string().into())
}

/// A job that asks for what the tables don't allow.
pub(super) fn refused(why: impl std::fmt::Display) -> StoreError {
    StoreError::NotCommitted(why.to_string().into())
}
