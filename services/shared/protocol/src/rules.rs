//! The protocol's rules by name: each is counted where it decides something, and can be switched off alone to see what then breaks.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A rule of the protocol. Its text is the label it has in metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// All rules.
            pub const ALL: &[Rule] = &[$(Rule::$name,)*];

            /// The rule's label.
            pub const fn label(self) -> &'static str {
                match self { $(Rule::$name => $text,)* }
            }
        }
    };
}

rules! {
    /// Only a receipt lets a sender forget an event; a broker's acknowledgement does not.
    ForgetOnReceipt = "forget-on-receipt",
    /// A compensation is written only while the row has the failed call's own version.
    CompensateOwnVersion = "compensate-own-version",
    /// A compensation is written only while no receipt covers the failed call's event.
    CompensateUnreceived = "compensate-unreceived",
    /// An equal request on an unsettled row that it can't join is written anew. One process alone never misses it: what a request finds
    /// unsettled and without a call it can join is of another replica, or of a process that is gone and takes nothing back.
    WriteAnewIfUnsettled = "write-anew-if-unsettled",
    /// A request joins only the call that wrote the row's current version.
    JoinCurrentVersion = "join-current-version",
    /// An equal undo joins as an equal reaction does.
    UndoJoins = "undo-joins",
    /// A call can be joined until its compensation is committed.
    JoinUntilCompensated = "join-until-compensated",
    /// A request that does not wait for receivers joins no call: it writes the row anew.
    BackgroundJoinsNone = "background-joins-none",
    /// A compensation is sent before the event that it takes back, which then is superseded unseen.
    CompensationFirst = "compensation-first",
    /// A failure is told only after its compensation is durable.
    CompensateBeforeAnswer = "compensate-before-answer",
    /// Every opening of a sender's store takes a new epoch and seals the one before.
    NewEpoch = "new-epoch",
    /// What lies beyond an epoch's end, or between linked epochs, is refused.
    RefuseBeyondSeal = "refuse-beyond-seal",
    /// An event is applied only if it is newer than what its key's row holds.
    NewestWins = "newest-wins",
    /// A second copy changes nothing.
    InboxOnce = "inbox-once",
    /// A second copy is answered with how the first stands.
    CopyStandsAsFirst = "copy-stands-as-first",
    /// Over the cap on runs, what would open another is dropped, and its sender repeats it.
    DropOverRunCap = "drop-over-run-cap",
    /// The first failure to apply parks a background event; nothing waits behind it.
    ParkFirstFailure = "park-first-failure",
    /// The last attempt makes a parked event a dead letter.
    DieAfterAttempts = "die-after-attempts",
    /// What is of an unknown type waits, and never is a dead letter.
    UnknownTypeWaits = "unknown-type-waits",
    /// A redrive begins an event's attempts anew.
    RedriveRestartsAttempts = "redrive-restarts-attempts",
    /// A redrive of many passes over what died of the same cause time after time.
    PassOverFutile = "pass-over-futile",
    /// A tombstone stays until its source's watermark has passed it.
    TombstoneUntilWatermark = "tombstone-until-watermark",
    /// A tombstone stays until every older epoch is complete.
    TombstoneUntilOlderEpochs = "tombstone-until-older-epochs",
    /// A tombstone stays while something older of its key is parked.
    TombstoneWhileParked = "tombstone-while-parked",
    /// A receipt names the lowest open epoch; everything below it is forgotten.
    ForgetBelowLowestOpen = "forget-below-lowest-open",
    /// The rolling hash at the watermark is compared before anything is forgotten. What would be forgotten wrongly is told by the digests
    /// of the state as well, though only once nothing is on its way.
    CompareHash = "compare-hash",
    /// A receiver that says it has closed epochs proves it by the sum of their hashes, before anything of them is forgotten. What
    /// would be forgotten wrongly is told by the digests of the state as well, though only once nothing is on its way.
    ProveClosed = "prove-closed",
    /// Where nothing is on its way, the digests of the state are compared.
    CompareState = "compare-state",
    /// Receipts of an older incarnation are ignored.
    NewestIncarnation = "newest-incarnation",
    /// What only an older incarnation's runs had said dies with it.
    RunsDieWithIncarnation = "runs-die-with-incarnation",
    /// A hello's answer is compared with what was forgotten when it was asked.
    HelloAsAsked = "hello-as-asked",
    /// A sender says hello now and then, though nothing calls for it: no receipt tells of a receiver that was lost, nor of what one
    /// holds of a store that is gone.
    HelloNowAndThen = "hello-now-and-then",
    /// An event is overdue when one sent after it on the same path was received and it is not. Without it nothing is lost for good: it
    /// is found by place or by age, but not while another event holds up what the broker is done with.
    LossByOrder = "loss-by-order",
    /// An event is overdue when the broker is done with its place and no receipt covers it.
    LossByPlace = "loss-by-place",
    /// A path that can't tell its backlog is judged by age alone.
    LossByAge = "loss-by-age",
    /// When a stream was made anew or went back, all that is unreceived counts as unsent.
    StreamReset = "stream-reset",
    /// A receiver begins with the epoch that it joined with: its inbox has nothing before.
    JoinBeginsAnew = "join-begins-anew",
    /// A receiver is sent, and asked for, nothing of epochs before the one that it begins with.
    ConcernsFromBegin = "concerns-from-begin",
    /// A new epoch is above every one that a receiver was seen to hold.
    EpochAboveSeen = "epoch-above-seen",
    /// A receiver that holds open lanes of another store had another sender under this one's name.
    OneStoreAName = "one-store-a-name",
    /// A receiver that holds an epoch above this store's newest had another sender, or this one in a future that is gone. Receipts tell
    /// of what is open of it; this alone tells where all of it is closed.
    HelloTellsHighest = "hello-tells-highest",
    /// A hello that was asked before a resync was done says nothing of other stores.
    ResyncAsAsked = "resync-as-asked",
    /// What is older than a resync is received by all only once its sweep is.
    ReceivedOnceSwept = "received-once-swept",
    /// A call that a resync overtook is not taken back: its row is told anew as it stands. Without it both ends agree all the same, since
    /// a compensation is an ordinary event of the new epoch; but receivers would be told as standing what its caller is told has failed.
    ResyncKeepsCalls = "resync-keeps-calls",
    /// A resync forgets which incarnations spoke: one that was restored with its clock set back is listened to again.
    ResyncForgetsIncarnations = "resync-forgets-incarnations",
    /// A receiver that joins while rows are told anew makes that begin anew.
    JoinRestartsResync = "join-restarts-resync",
    /// A sweep is carried out only once all from its epoch up to it is received.
    SweepWhenComplete = "sweep-when-complete",
    /// A sweep closes the older epochs of its lane.
    SweepClosesOlder = "sweep-closes-older",
    /// A sweep closes the lanes of other stores.
    SweepClosesOthers = "sweep-closes-others",
    /// A sweep takes what is parked and dead, before it takes rows.
    SweepParkedFirst = "sweep-parked-first",
    /// An unanswered publish is repeated under its old name; a retransmission is a new message.
    RepeatUnanswered = "repeat-unanswered",
}

/// Which rules are in force (all, but in a test that breaks one), and how often each decided something.
#[derive(Debug)]
pub struct Rules {
    broken: Option<Rule>,
    struck: [AtomicU64; Rule::ALL.len()],
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            broken: None,
            struck: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Rules {
    /// All rules but one: for tests that show what the rule is for.
    #[doc(hidden)]
    pub fn all_but(rule: Rule) -> Self {
        Rules {
            broken: Some(rule),
            ..Rules::default()
        }
    }

    /// Counts that `rule` decides here, and says whether it is in force. Called only where it makes a difference.
    pub fn holds(&self, rule: Rule) -> bool {
        self.struck[rule as usize].fetch_add(1, Ordering::Relaxed);
        self.broken != Some(rule)
    }

    /// How often each rule decided something so far.
    pub fn strikes(&self) -> impl Iterator<Item = (Rule, u64)> + '_ {
        Rule::ALL
            .iter()
            .map(|&rule| (rule, self.struck[rule as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_counted_where_it_decides_in_force_or_not() {
        let rules = Rules::all_but(Rule::NewestWins);
        assert!(rules.holds(Rule::NewEpoch));
        assert!(!rules.holds(Rule::NewestWins) && !rules.holds(Rule::NewestWins));
        let strikes: Vec<_> = rules.strikes().collect();
        assert_eq!(strikes.len(), Rule::ALL.len());
        let struck = strikes.into_iter().filter(|(_, struck)| *struck > 0);
        let mut struck: Vec<_> = struck.collect();
        struck.sort_by_key(|(_, struck)| *struck);
        assert_eq!(struck, [(Rule::NewEpoch, 1), (Rule::NewestWins, 2)]);
    }
}
