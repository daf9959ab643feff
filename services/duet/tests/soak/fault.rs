use duet_testkit::{Mode, Pair, Wrong};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use std::time::Duration;

/// A process of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Reaction,
    Notification,
    Trending,
    Broker,
}

impl Victim {
    pub(crate) const ALL: [Self; 4] = [
        Self::Reaction,
        Self::Notification,
        Self::Trending,
        Self::Broker,
    ];
    pub(crate) const WITH_A_STORE: [Self; 3] = [Self::Reaction, Self::Notification, Self::Trending];
}

/// What is between each two processes, by [`duet_testkit::PairBuilder::links`].
const LINKS: [&str; 5] = [
    "reaction-notification",
    "reaction-trending",
    "reaction-nats",
    "notification-nats",
    "trending-nats",
];

/// Something that goes wrong, until it is healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL; started again when it is healed.
    Kill(Victim),
    /// SIGKILL for all at once; the broker's storage is lost too, or not.
    KillAll { wiped: bool },
    /// The broker is killed, and its storage is lost before it comes back.
    Wipe,
    /// SIGSTOP; SIGCONT when it is healed.
    Stop(Victim),
    /// A link is spoiled.
    Link(&'static str, Wrong),
    /// The Channel says another mode; nothing to heal.
    Switch(Way),
    /// Trending is a receiver from now on, or none; nothing to heal.
    Trending { is_member: bool },
    /// `duet resync` while all fits; nothing to heal.
    Resync,
    /// A store is copied; when it is healed, the copy takes its place, and `duet resync` makes all fit again.
    Restore(Victim),
}

/// The modes that a Channel can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Only(Mode),
    /// Half of the pairs take the other mode.
    Canary(Mode),
}

impl Fault {
    /// Any of them, each sort as likely as another.
    pub(crate) fn any(dice: &mut StdRng) -> Self {
        let victim = *Victim::ALL.choose(dice).unwrap();
        match dice.random_range(0..20) {
            0..4 => Self::Kill(victim),
            4 => Self::KillAll {
                wiped: dice.random_bool(0.5),
            },
            5 => Self::Wipe,
            6..9 => Self::Stop(victim),
            9..14 => Self::Link(LINKS.choose(dice).unwrap(), wrong(dice)),
            14..16 => Self::Switch(Way::any(dice)),
            _ => Self::of_stores(dice),
        }
    }

    /// Any of those that change which events a receiver is to have.
    pub(crate) fn of_stores(dice: &mut StdRng) -> Self {
        match dice.random_range(0..5) {
            0..2 => Self::Trending {
                is_member: dice.random_bool(0.6),
            },
            2 => Self::Resync,
            _ => Self::Restore(*Victim::WITH_A_STORE.choose(dice).unwrap()),
        }
    }

    /// Its kind, for counting.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::KillAll { .. } => "kill of all",
            Self::Wipe => "broker wiped",
            Self::Stop(_) => "stop",
            Self::Link(_, Wrong::Cut) => "link cut",
            Self::Link(_, Wrong::Slow(_)) => "link slow",
            Self::Link(_, Wrong::Narrow(_)) => "link narrow",
            Self::Link(_, Wrong::HalfOpen) => "link half-open",
            Self::Link(_, Wrong::Reset) => "link reset",
            Self::Switch(Way::Only(_)) => "switch",
            Self::Switch(Way::Canary(_)) => "switch with canary",
            Self::Trending { is_member: true } => "join",
            Self::Trending { is_member: false } => "leave",
            Self::Resync => "resync",
            Self::Restore(_) => "store restored",
        }
    }

    /// Whether both are of one link, or the same.
    pub(crate) fn is_of_the_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Link(one, _), Self::Link(another, _)) => one == another,
            // One at a time: only of the newest is it known what it lacks.
            (Self::Restore(_), Self::Restore(_)) => true,
            _ => self == other,
        }
    }
}

fn wrong(dice: &mut StdRng) -> Wrong {
    match dice.random_range(0..5) {
        0 => Wrong::Cut,
        1 => Wrong::Slow(Duration::from_millis(dice.random_range(5..800))),
        2 => Wrong::Narrow(dice.random_range(1..50)),
        3 => Wrong::HalfOpen,
        _ => Wrong::Reset,
    }
}

impl Way {
    pub(crate) fn any(dice: &mut StdRng) -> Self {
        let mode = *[Mode::Sync, Mode::Async].choose(dice).unwrap();
        match dice.random_bool(0.3) {
            true => Self::Canary(mode),
            false => Self::Only(mode),
        }
    }

    /// Writes it into the Channel document; nobody waits for it to be followed.
    pub(crate) fn write(self, pair: &Pair) {
        const NONE: &str = "  # canary: ";
        let (mode, other) = match self {
            Self::Only(Mode::Sync) | Self::Canary(Mode::Sync) => (Mode::Sync, Mode::Async),
            Self::Only(Mode::Async) | Self::Canary(Mode::Async) => (Mode::Async, Mode::Sync),
        };
        let document = std::fs::read_to_string(pair.channel()).unwrap();
        let is_canary = |line: &&str| line.trim_start_matches([' ', '#']).starts_with("canary: ");
        let line = document.lines().find(is_canary).unwrap();
        let canary = match self {
            Self::Only(_) => NONE.to_owned() + "none",
            Self::Canary(_) => format!("  canary: {{mode: {}, percent: 50}}", other.as_str()),
        };
        pair.edit_unfollowed(line, &canary);
        pair.switch(mode);
    }
}

/// Makes Trending a receiver, or none; nobody waits for it to be followed.
pub(crate) fn make_member(pair: &Pair, is_member: bool) {
    const BOTH: &str = "[{name: notification}, {name: trending}]";
    const ONE: &str = "[{name: notification}]";
    let document = std::fs::read_to_string(pair.channel()).unwrap();
    let now = [BOTH, ONE].into_iter().find(|it| document.contains(it));
    pair.edit_unfollowed(now.unwrap(), if is_member { BOTH } else { ONE });
}
