//! A resync under way, as the sender's machine knows it: what is older than it is received only once all that it tells is.

use std::collections::BTreeMap;

use super::Sender;
use super::peer::Peer;
use crate::event::{Body, Event, EventId};
use crate::resync::{Resync, Stage};
use crate::sequence::{Epoch, Lane, Source};
use crate::time::Moment;

/// See the module.
#[derive(Debug)]
pub(super) struct Resyncing {
    /// The epoch of each lane that it opened.
    below: BTreeMap<Lane, Epoch>,
    /// The event of each lane that says that this was all; none before it is committed.
    sweeps: BTreeMap<Lane, EventId>,
}

impl Resyncing {
    fn new(sources: &[Source], sweeps: &[EventId]) -> Self {
        let below = sources.iter().map(|source| (source.lane, source.epoch));
        let sweeps = sweeps.iter().map(|sweep| (sweep.source.lane, *sweep));
        Resyncing {
            below: below.collect(),
            sweeps: sweeps.collect(),
        }
    }

    /// Whether it overtook a source.
    pub(super) fn overtook(&self, source: Source) -> bool {
        let below = self.below.get(&source.lane);
        below.is_some_and(|below| source.epoch < *below)
    }

    pub(super) fn committed(&mut self, event: &Event) {
        if matches!(event.body, Body::Sweep { .. }) {
            self.sweeps.insert(event.source.lane, event.id());
        }
    }

    /// Whether every receiver has said that it holds all.
    fn is_over<'a>(&self, mut peers: impl Iterator<Item = &'a Peer>) -> bool {
        self.sweeps.len() == self.below.len()
            && peers.all(|peer| {
                let mut sweeps = self.sweeps.values();
                sweeps.all(|sweep| {
                    let lane = sweep.source.lane;
                    let below = self.below.get(&lane).copied().unwrap_or_default();
                    // It may be held before what was told anew in an epoch before its own.
                    let mut before = peer.tracks.range(lane.source(below)..sweep.source);
                    peer.held(sweep.source) >= sweep.sequence
                        && before.all(|(_, track)| track.unreceived() == 0)
                })
            })
    }
}

impl Sender {
    /// The last resync that the store knows of, and how far it is. Given at start, after the receivers.
    pub fn resync_known(&mut self, resync: &Resync, stage: Stage) {
        if stage != Stage::Done {
            self.resyncing = Some(Resyncing::new(&resync.sources, &resync.sweeps));
        }
    }

    /// All receivers begin at these sources: what is older is sent to nobody, but for the calls that are under way.
    pub(super) fn begin_resync(&mut self, sources: &[Source]) {
        let resyncing = Resyncing::new(sources, &[]);
        for peer in self.peers.values_mut() {
            peer.begin_anew(sources);
        }
        let kept = &mut self.kept;
        self.sources.retain(|source, of| {
            let is_over = resyncing.overtook(*source);
            *kept -= usize::from(is_over) * of.events.len();
            !is_over
        });
        self.resyncing = Some(resyncing);
    }

    /// A receiver holds more than before.
    pub(super) fn may_end_resync(&mut self, now: Moment) {
        let resyncing = self.resyncing.as_ref();
        if resyncing.is_some_and(|resyncing| resyncing.is_over(self.peers.values())) {
            self.resyncing = None;
            for peer in self.peers.values_mut() {
                peer.hello.want(now, &self.common.timing);
            }
        }
    }

    /// Whether a resync is under way.
    pub fn is_resyncing(&self) -> bool {
        self.resyncing.is_some()
    }
}
