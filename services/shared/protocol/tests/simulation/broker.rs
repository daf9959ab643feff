//! A broker as JetStream is one: a stream with places, one consumer, Interest retention, redelivery after ackWait, a duplicate window.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use duet_protocol::event::Event;
use duet_protocol::sender::{Backlog, BrokerPlace, MessageId};
use duet_protocol::time::Moment;

/// A stored message.
#[derive(Clone, Debug)]
struct Message {
    events: Vec<Arc<Event>>,
    /// Given out, and given out again at this moment if it isn't settled.
    out_until: Option<Moment>,
}

/// What a publish came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    Stored(BrokerPlace),
    /// Seen before: dropped, with the place of the first.
    Repeated(BrokerPlace),
    /// discard New.
    Full,
    /// There is no stream.
    Absent,
}

/// The stream to one receiver, and its consumer.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    created: u64,
    last: u64,
    messages: BTreeMap<u64, Message>,
    seen: BTreeMap<MessageId, (Moment, u64)>,
    /// Not reachable until then.
    pub(crate) down_until: Option<Moment>,
    /// The stream is not made until then.
    absent_until: Option<Moment>,
    deaf_until: Moment,
    /// There is no consumer until then: what is stored is dropped.
    alone_until: Moment,
    is_removed: bool,
    pub(crate) capacity: usize,
    pub(crate) max_ack_pending: usize,
    window: Duration,
}

impl Broker {
    pub(crate) fn new(capacity: usize, max_ack_pending: usize) -> Self {
        Broker {
            created: 1,
            last: 0,
            messages: BTreeMap::new(),
            seen: BTreeMap::new(),
            down_until: None,
            absent_until: None,
            deaf_until: Moment::START,
            alone_until: Moment::START,
            is_removed: false,
            capacity,
            max_ack_pending,
            window: Duration::from_secs(120),
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down_until.is_some()
    }

    /// `forgets`: the message is acknowledged, and lost.
    pub(crate) fn publish(
        &mut self,
        id: MessageId,
        events: &[Arc<Event>],
        forgets: bool,
        now: Moment,
    ) -> Published {
        if self.is_removed || self.absent_until.is_some_and(|until| now < until) {
            return Published::Absent;
        }
        if let Some(&(at, place)) = self.seen.get(&id)
            && now.since(at) < self.window
        {
            return Published::Repeated(BrokerPlace(place));
        }
        if self.messages.len() >= self.capacity {
            return Published::Full;
        }
        self.last += 1;
        self.seen.insert(id, (now, self.last));
        if !forgets && now >= self.alone_until {
            let message = Message {
                events: events.to_vec(),
                out_until: None,
            };
            self.messages.insert(self.last, message);
        }
        Published::Stored(BrokerPlace(self.last))
    }

    /// What the consumer may have now: places, oldest first.
    fn available(&self, now: Moment) -> Vec<u64> {
        if self.is_down() || now < self.deaf_until {
            return Vec::new();
        }
        let (mut out, mut ready) = (0, Vec::new());
        for (place, message) in &self.messages {
            match message.out_until {
                Some(until) if until > now => out += 1,
                _ => ready.push(*place),
            }
        }
        ready.truncate(self.max_ack_pending.saturating_sub(out));
        ready
    }

    /// Gives out up to so many messages; `skip` leaves out the first of those.
    pub(crate) fn take(
        &mut self,
        max: usize,
        skip: usize,
        ack_wait: Duration,
        now: Moment,
    ) -> Vec<(u64, Vec<Arc<Event>>)> {
        let available = self.available(now);
        let skip = skip.min(available.len().saturating_sub(1));
        let mut taken = Vec::new();
        for place in available.into_iter().skip(skip).take(max) {
            if let Some(message) = self.messages.get_mut(&place) {
                message.out_until = Some(now + ack_wait);
                taken.push((place, message.events.clone()));
            }
        }
        taken
    }

    pub(crate) fn settle(&mut self, places: &[u64]) {
        for place in places {
            self.messages.remove(place);
        }
    }

    /// When there may be something to take.
    pub(crate) fn ready_at(&self, now: Moment) -> Option<Moment> {
        let out = self
            .messages
            .values()
            .filter_map(|message| message.out_until);
        let (mut held, mut next) = (0, None::<Moment>);
        for until in out {
            held += usize::from(until > now);
            next = Some(next.map_or(until, |next| next.min(until)));
        }
        let fresh = self
            .messages
            .values()
            .any(|message| message.out_until.is_none());
        let ready = match fresh && held < self.max_ack_pending {
            true => Some(now),
            false => next,
        };
        ready.map(|ready| ready.max(self.deaf_until))
    }

    /// As its leader knows it.
    pub(crate) fn backlog(&self) -> Backlog {
        let first = self.messages.keys().next();
        Backlog::Known {
            created: self.created,
            last: BrokerPlace(self.last),
            ack_floor: BrokerPlace(first.map_or(self.last, |first| first - 1)),
            outstanding: self.messages.len() as u64,
        }
    }

    /// Loses the newest so many places, and what the consumer held.
    pub(crate) fn lose_end(&mut self, lost: u64) {
        self.last -= lost.min(self.last);
        let last = self.last;
        self.messages.retain(|place, _| *place <= last);
        self.seen.retain(|_, (_, place)| *place <= last);
        for message in self.messages.values_mut() {
            message.out_until = None;
        }
    }

    /// Loses everything; the stream is made anew after a while.
    pub(crate) fn wipe(&mut self, absent_until: Moment) {
        self.created += 1;
        self.last = 0;
        self.messages.clear();
        self.seen.clear();
        self.absent_until = Some(absent_until);
    }

    /// Whether there is a consumer.
    pub(crate) fn is_there(&self) -> bool {
        !self.is_removed
    }

    /// The consumer is removed, and what waited for it.
    pub(crate) fn is_removed(&mut self) {
        self.is_removed = true;
        self.messages.clear();
    }

    /// There is a consumer again.
    pub(crate) fn is_made(&mut self) {
        self.is_removed = false;
    }

    /// All its messages are removed.
    pub(crate) fn purge(&mut self) {
        self.messages.clear();
    }

    /// The consumer is deleted, and with it what waits for it; it is made anew then.
    pub(crate) fn lose_consumer(&mut self, until: Moment) {
        self.created += 1;
        self.messages.clear();
        self.alone_until = until;
    }

    /// Whether there is a consumer to tell of.
    pub(crate) fn tells(&self, now: Moment) -> bool {
        now >= self.alone_until
    }

    /// It goes on with an older storage: what was settled since is there again, and what was stored since is not.
    pub(crate) fn put_back(&mut self, older: &Broker) {
        (self.created, self.last) = (older.created, older.last);
        self.messages = older.messages.clone();
        self.seen = older.seen.clone();
        for message in self.messages.values_mut() {
            message.out_until = None;
        }
    }

    pub(crate) fn deafen(&mut self, until: Moment) {
        self.deaf_until = until;
    }

    /// Whatever ails it ends. Whether it was down.
    pub(crate) fn heal(&mut self, now: Moment) -> bool {
        let was_down = self.down_until.take().is_some();
        self.absent_until = None;
        (self.deaf_until, self.alone_until) = (now, now);
        self.capacity = usize::MAX;
        was_down
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }
}
