//! What a sending service brings: its rows, and what it refuses.

use duet_protocol::accept::Rows;
use duet_protocol::event::Key;

use crate::store::StoreError;

/// The service's part of the accepting transaction, on the store's own connection.
pub trait SendingService<C>: Send + Sync + 'static {
    /// What a key's row holds.
    type Value: Clone + PartialEq + Send + Sync + 'static;
    /// Why the service refuses a change.
    type Refusal: Send + 'static;
    /// Its rows, inside a transaction.
    type Rows<'t>: Rows<Value = Self::Value, Error = StoreError>
    where
        C: 't;

    /// Whether a change may be accepted. What is refused is never written.
    ///
    /// # Errors
    /// Those of the store; then the transaction is rolled back.
    fn admit(
        &self,
        connection: &C,
        key: &Key,
        value: Option<&Self::Value>,
    ) -> Result<Result<(), Self::Refusal>, StoreError>;

    /// Its rows, inside a transaction.
    fn rows<'t>(&self, connection: &'t C) -> Self::Rows<'t>;

    /// How many rows stand. A service that can count without looking at all of them says it itself.
    ///
    /// # Errors
    /// Those of the store.
    fn count(&self, connection: &C) -> Result<u64, StoreError> {
        super::resync::count(&mut self.rows(connection))
    }
}
