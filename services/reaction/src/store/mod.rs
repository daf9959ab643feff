//! Reaction's own tables, as functions over a connection: in the writer's transaction, or on a reader.

/// Posts and their counts.
pub mod posts;
/// Reactions: read by a pair and by pages, written by events.
pub mod reactions;

#[cfg(test)]
mod tests;

/// The tables' migrations, oldest first. One that was released never changes.
pub const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// A text column as a type that checks it.
pub(crate) fn checked<T>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    use rusqlite::types::Type;

    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}
