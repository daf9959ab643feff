use duet_channel::store::StoreError;
use duet_protocol::decision::Decision;
use duet_protocol::event::{Data, Event, Key};
use duet_protocol::receive::{Apply, Failure};
use duet_protocol::sequence::{Lane, Version};
use duet_protocol::time::Timestamp;
use rusqlite::{Connection, Result};

use super::groups::{self, Member};
use super::pairs::{self, Held};
use crate::domain::{Newness, Told, decision};

/// The rows that events write, in the transaction that their inbox is in.
pub struct Table<'c> {
    connection: &'c Connection,
    now: Timestamp,
    /// The row that was read last, which is the one that is then written.
    last_read: Option<(Key, Option<Held>)>,
}

impl<'c> Table<'c> {
    /// The rows of a transaction that takes place at `now`.
    pub fn new(connection: &'c Connection, now: Timestamp) -> Self {
        Self {
            connection,
            now,
            last_read: None,
        }
    }

    fn apply_told(&self, event: &Event, told: &Told, held: Option<&Held>) -> Result<()> {
        let Self {
            connection, now, ..
        } = *self;
        let was_shown = held.and_then(|held| Some((&held.owner, held.shown(&told.user)?)));
        let shown = told.kind.as_ref().filter(|_| told.user != told.owner);

        // An event that restores is news only if what it restores never came here.
        let is_news = shown.is_some() && (!told.restores || held.is_none());
        let stays = was_shown.is_some_and(|(owner, _)| shown.is_some() && *owner == told.owner);
        let before = held.map(|held| held.newness);
        let newness = if is_news {
            groups::news(
                connection,
                told,
                if stays { Member::Known } else { Member::New },
                now,
            )?
        } else {
            let newness = held.map_or(Newness::default(), |held| restored(held, told));
            if shown.is_some() && !stays {
                groups::join(connection, told, newness)?;
            }
            newness
        };
        pairs::put(connection, event, told, newness, before)?;

        if let Some((owner, kind)) = was_shown {
            groups::count_kind(connection, owner, &told.post, kind, -1)?;
            if !stays {
                groups::leave(connection, owner, &told.post)?;
                groups::settle(connection, owner, &told.post)?;
            }
        }
        if let Some(kind) = shown {
            groups::count_kind(connection, &told.owner, &told.post, kind, 1)?;
            if !is_news {
                groups::settle(connection, &told.owner, &told.post)?;
            }
        }
        Ok(())
    }
}

/// The newness of a row that is written without being news: where it was before what is taken back, if that ever came here.
fn restored(held: &Held, told: &Told) -> Newness {
    let took_back = told.restores && held.kind.is_some() && held.at != told.at;
    held.newness_before
        .filter(|_| took_back)
        .unwrap_or(held.newness)
}

impl Apply for Table<'_> {
    type Error = StoreError;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, StoreError> {
        let held = match split(key) {
            Some((post, user)) => pairs::get(self.connection, post, user)?,
            None => None,
        };
        let version = held.as_ref().map(|held| held.version);
        self.last_read = Some((key.clone(), held));
        Ok(version)
    }

    fn apply(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Option<Decision>, Failure>, StoreError> {
        let told = match Told::read(data) {
            Ok(told) => told,
            Err(error) => {
                return Ok(Err(Failure {
                    cause: error.to_string().into(),
                }));
            }
        };
        let held = match self.last_read.take() {
            Some((key, held)) if key == data.key => held,
            _ => pairs::get(self.connection, told.post.as_str(), told.user.as_str())?,
        };
        self.apply_told(event, &told, held.as_ref())?;
        let own = told.user == told.owner;
        Ok(Ok(Some(decision(told.kind.is_some(), own))))
    }

    fn decided(&mut self, key: &Key) -> Result<Option<Decision>, StoreError> {
        let Some((post, user)) = split(key) else {
            return Ok(None);
        };
        let held = pairs::get(self.connection, post, user)?;
        Ok(held.map(|held| decision(held.kind.is_some(), held.owner.as_str() == user)))
    }

    fn tombstones(
        &mut self,
        lane: Lane,
        up_to: Version,
        limit: usize,
    ) -> Result<Vec<Key>, StoreError> {
        Ok(pairs::tombstones(self.connection, lane, up_to, limit)?)
    }

    fn drop_tombstone(&mut self, key: &Key) -> Result<(), StoreError> {
        if let Some((post, user)) = split(key) {
            pairs::drop_tombstone(self.connection, post, user)?;
        }
        Ok(())
    }
}

fn split(key: &Key) -> Option<(&str, &str)> {
    key.as_str().split_once('/')
}
