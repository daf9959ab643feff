use std::sync::Arc;

use duet_channel::store::StoreError;
use duet_protocol::decision::Decision;
use duet_protocol::event::{Data, Event, Key, RollingHash};
use duet_protocol::ledger::row_hash;
use duet_protocol::receive::{Apply, Failure};
use duet_protocol::sequence::{Lane, Source, Version};
use duet_protocol::sweep::{Sweep, Swept};
use duet_protocol::time::Timestamp;
use duet_web::ids::PostId;
use rusqlite::{Connection, Result};

use super::groups::{self, Member};
use super::pairs::{self, Before, Held, Placed, Statements};
use super::{Memory, changes, mutes};
use crate::domain::{Effect, Newness, ReactionKind, TakenBack, Told, Turn, Verdict, decide};

/// The rows that events write, in the transaction that their inbox is in.
pub struct Table<'c> {
    connection: &'c Connection,
    statements: Statements<'c>,
    memory: Arc<Memory>,
    /// The row that was read last, which is the one that is then written.
    last_read: Option<(Key, Option<Held>)>,
    /// When what comes is applied.
    now: Option<Timestamp>,
    /// How the digest of the state has changed.
    changes: Vec<(Source, RollingHash)>,
}

impl<'c> Table<'c> {
    /// The rows of a transaction.
    pub fn new(connection: &'c Connection, memory: Arc<Memory>) -> Self {
        Self {
            connection,
            statements: Statements::new(connection),
            memory,
            last_read: None,
            now: None,
            changes: Vec::new(),
        }
    }

    fn apply_told(
        &mut self,
        event: &Event,
        told: &Told,
        held: Option<&Held>,
    ) -> Result<Option<Verdict>> {
        let (verdict, effect) = self.decide(told, held)?;
        let connection = self.connection;
        let memory = self.memory.clone();
        let was_shown = held.and_then(|held| Some((&held.owner, held.shown(told.user.as_str())?)));
        let shown = told.kind.as_ref().filter(|_| effect != Effect::Absent);
        let stays = was_shown.is_some_and(|(owner, _)| shown.is_some() && *owner == told.owner);

        let newness = match effect {
            Effect::News => {
                let (member, newness) = (Member::of(stays), memory.next());
                memory.sums.news(told, member, newness);
                newness
            }
            Effect::Silent | Effect::Absent => held.map_or_else(Newness::default, |held| {
                match (held.before, held.taken_back(told)) {
                    (Before::Shown(newness), TakenBack::FromShown) => newness,
                    _ => held.newness,
                }
            }),
        };
        if effect == Effect::Silent && !stays {
            memory.sums.write(connection)?;
            groups::join(connection, told, newness)?;
        }
        let before = held.map_or(Before::Nothing, |held| held.as_before(told.user.as_str()));
        let placed = Placed {
            newness,
            before,
            applied: self.now,
        };
        self.statements.put(event, told, placed, verdict)?;

        if let Some((owner, kind)) = was_shown {
            memory.sums.count_kind(owner, &told.post, kind, -1);
            if !stays {
                memory.sums.write(connection)?;
                groups::leave(connection, owner, &told.post)?;
                groups::settle(connection, owner, &told.post)?;
                changes::note(connection, owner, &told.post, memory.next())?;
            }
        }
        if let Some(kind) = shown {
            memory.sums.count_kind(&told.owner, &told.post, kind, 1);
            let is_as_before = was_shown.is_some_and(|(_, before)| stays && before == kind)
                && held.is_some_and(|held| held.newness == newness);
            if effect == Effect::Silent && !is_as_before {
                memory.sums.write(connection)?;
                groups::settle(connection, &told.owner, &told.post)?;
                changes::note(connection, &told.owner, &told.post, memory.next())?;
            }
        }
        Ok(verdict)
    }

    /// Drops what is held of a pair: it leaves its group, if it was in one.
    fn remove(&mut self, key: &Key) -> Result<()> {
        let Some((post, user)) = split(key) else {
            return Ok(());
        };
        let connection = self.connection;
        let memory = self.memory.clone();
        let Some(held) = pairs::remove(connection, post, user)? else {
            return Ok(());
        };
        if let Some(kind) = &held.kind {
            let gone = RollingHash::default() - row_hash(key, kind.as_str().as_bytes());
            self.changes.push((held.source, gone));
        }
        if let (Some(kind), Ok(post)) = (held.shown(user), post.parse::<PostId>()) {
            memory.sums.count_kind(&held.owner, &post, kind, -1);
            memory.sums.write(connection)?;
            groups::leave(connection, &held.owner, &post)?;
            groups::settle(connection, &held.owner, &post)?;
            changes::note(connection, &held.owner, &post, memory.next())?;
        }
        Ok(())
    }

    fn decide(&self, told: &Told, held: Option<&Held>) -> Result<(Option<Verdict>, Effect)> {
        let turn = match &told.kind {
            None => Turn::Removed,
            Some(_) if told.restores => Turn::Restored,
            Some(_) => Turn::Set,
        };
        let is_muted = || match &told.kind {
            Some(kind) if self.memory.may_mute(&told.owner) => {
                mutes::is_muted(self.connection, told, kind)
            }
            _ => Ok(false),
        };
        decide(
            held.map(|held| held.standing(told.user.as_str())),
            held.map_or(TakenBack::Unknown, |held| held.taken_back(told)),
            turn,
            told.user == told.owner,
            is_muted,
        )
    }
}

impl Apply for Table<'_> {
    type Error = StoreError;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, StoreError> {
        let held = match split(key) {
            Some((post, user)) => self.statements.get(post, user)?,
            None => None,
        };
        let version = held.as_ref().map(|held| held.version);
        self.last_read = Some((key.clone(), held));
        Ok(version)
    }

    fn applies_at(&mut self, now: Timestamp) {
        self.now = Some(now);
    }

    fn apply(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Option<Decision>, Failure>, StoreError> {
        let told = match Told::read(data) {
            Ok(told) => told,
            Err(error) => {
                return Ok(Err(error.into()));
            }
        };
        let held = match self.last_read.take() {
            Some((key, held)) if key == data.key => held,
            _ => self
                .statements
                .get(told.post.as_str(), told.user.as_str())?,
        };
        let verdict = self.apply_told(event, &told, held.as_ref())?;
        let hash = |kind: &ReactionKind| row_hash(&data.key, kind.as_str().as_bytes());
        if let Some(held) = &held
            && let Some(kind) = &held.kind
        {
            let gone = RollingHash::default() - hash(kind);
            self.changes.push((held.source, gone));
        }
        let stands = told.kind.as_ref().map(hash);
        self.changes
            .push((event.source, stands.unwrap_or_default()));
        Ok(Ok(verdict.map(Verdict::word)))
    }

    fn decided(&mut self, key: &Key) -> Result<Option<Decision>, StoreError> {
        if !matches!(&self.last_read, Some((read, _)) if read == key) {
            self.held(key)?;
        }
        let held = self.last_read.as_ref().and_then(|(_, held)| held.as_ref());
        let user = split(key).map_or("", |(_, user)| user);
        let verdict = held.and_then(|held| held.verdict(user));
        Ok(verdict.map(Verdict::word))
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

    fn sweep(
        &mut self,
        sweep: &Sweep,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Swept, StoreError> {
        self.last_read = None;
        let (post, user) = after.and_then(split).unwrap_or_default();
        let mut swept = Swept::default();
        for (key, epoch) in pairs::epochs(self.connection, post, user, limit)? {
            if sweep.takes(&key, epoch) {
                self.remove(&key)?;
                swept.removed += 1;
            }
            swept.last = Some(key);
        }
        Ok(swept)
    }

    fn state_changes(&mut self) -> Option<Vec<(Source, RollingHash)>> {
        Some(std::mem::take(&mut self.changes))
    }
}

fn split(key: &Key) -> Option<(&str, &str)> {
    key.as_str().split_once('/')
}
