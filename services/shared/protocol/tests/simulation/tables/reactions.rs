//! The sending service's rows.

use std::collections::BTreeMap;
use std::convert::Infallible;

use duet_protocol::accept::{Row, Rows, Write};
use duet_protocol::event::{Data, Key, RollingHash};
use duet_protocol::ledger::row_hash;

use super::{Value, json};

/// The sending service's rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReactionRows(pub(crate) BTreeMap<Key, Row<Value>>);

impl Rows for ReactionRows {
    type Value = Value;
    type Error = Infallible;

    fn row(&mut self, key: &Key) -> Result<Option<Row<Value>>, Infallible> {
        Ok(self.0.get(key).cloned())
    }

    fn write(&mut self, key: &Key, write: Write<'_, Value>) -> Result<Data, Infallible> {
        let row = Row {
            value: write.value.copied(),
            version: write.version,
            provisional: write.provisional,
        };
        let data = Data {
            kind: (if write.restores { "restored" } else { "set" }).into(),
            key: key.clone(),
            json: json(row.value),
        };
        self.0.insert(key.clone(), row);
        Ok(data)
    }

    fn page(
        &mut self,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Row<Value>)>, Infallible> {
        let rows = self.0.iter().filter(|(key, _)| Some(*key) > after);
        let rows = rows.map(|(key, row)| (key.clone(), row.clone()));
        Ok(rows.take(limit).collect())
    }

    fn announce(&mut self, key: &Key, value: &Value) -> Result<Data, Infallible> {
        Ok(Data {
            kind: "announced".into(),
            key: key.clone(),
            json: json(Some(*value)),
        })
    }

    fn hash(&self, key: &Key, value: &Value) -> RollingHash {
        row_hash(key, &[*value])
    }
}
