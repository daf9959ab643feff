//! What the process knows of its tables without asking them, so that most events need no statement for it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use duet_channel::store::sqlite::WriteBehind;
use duet_protocol::sequence::Incarnation;
use duet_web::ids::UserId;
use rusqlite::{Connection, Result};

use super::mutes;
use super::sums::Sums;
use crate::domain::Newness;

/// What the process knows. Only the store's writer changes it, inside its transactions: one that is rolled back leaves numbers that
/// are not used, a user who is looked up for nothing, and no sums.
pub struct Memory {
    /// The newness that was given out last.
    newest: AtomicI64,
    /// Users who may have muted something: one bit for each hash. There is no false negative.
    muting: Box<[AtomicU64; MUTING_WORDS]>,
    hashes: RandomState,
    /// What is only in memory yet of a commit group.
    pub(super) sums: Arc<Sums>,
}

/// 8 KiB: of 1,000 users who mute, one in 65 others is looked up for nothing.
const MUTING_WORDS: usize = 1024;

/// How many openings are remembered. A stream that is resumed from before them begins anew.
const OPENINGS: i64 = 10_000;

impl Memory {
    /// Begins a new range of newness, above all before, and reads who mutes. Once for each opening of the store, before anything is
    /// applied; what it writes must be durable first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn open(connection: &Connection, incarnation: Incarnation) -> Result<Self> {
        let opening: i64 = connection.query_row(
            "INSERT INTO openings SELECT max(opening) + 1, ?1 FROM openings RETURNING opening",
            [incarnation.0.cast_signed()],
            |row| row.get(0),
        )?;
        connection.execute(
            "DELETE FROM openings WHERE opening <= ?1",
            [opening - OPENINGS],
        )?;
        let memory = Self {
            newest: AtomicI64::new(Newness::first_of(opening).0),
            muting: Box::new([const { AtomicU64::new(0) }; MUTING_WORDS]),
            hashes: RandomState::new(),
            sums: Arc::default(),
        };
        mutes::each_user(connection, |user| memory.mutes_now(user))?;
        Ok(memory)
    }

    /// What the store has to write before each commit.
    pub fn behind(&self) -> Arc<dyn WriteBehind> {
        self.sums.clone()
    }

    /// The next newness.
    pub fn next(&self) -> Newness {
        Newness(self.newest.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Whether a user may have muted anything.
    pub fn may_mute(&self, user: &UserId) -> bool {
        let (word, bit) = self.place(user.as_str());
        self.muting[word].load(Ordering::Relaxed) & bit != 0
    }

    /// From now on, a user may have muted something.
    pub fn mutes_now(&self, user: &str) {
        let (word, bit) = self.place(user);
        self.muting[word].fetch_or(bit, Ordering::Relaxed);
    }

    fn place(&self, user: &str) -> (usize, u64) {
        let hash = self.hashes.hash_one(user);
        let bits = MUTING_WORDS as u64 * 64;
        let place = hash % bits;
        ((place / 64) as usize, 1 << (place % 64))
    }
}
