//! What can go wrong, how likely that is in a run, and how often it happened.

use crate::dice::Dice;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident up to $max:literal,)*) => {
        /// One thing that can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            pub(crate) const ALL: &[Fault] = &[$(Fault::$name,)*];

            /// The highest probability it has in any run, in ten thousand.
            const fn max(self) -> u32 {
                match self { $(Fault::$name => $max,)* }
            }
        }
    };
}

faults! {
    /// A request never arrives; the caller's patience ends.
    LoseRequest up to 1500,
    /// A request was handled, and its answer never arrives.
    LoseAnswer up to 1500,
    /// A request arrives twice.
    RepeatRequest up to 1500,
    /// A request arrives after its sender has given up.
    LateRequest up to 1500,
    /// The connection is refused: nothing of the request arrives.
    RefuseCall up to 1500,
    /// The receiver turns the request away and asks to be left alone.
    Overload up to 800,
    /// The receiver gets to a request only after the time that travelled with it.
    SlowReceiver up to 800,
    /// A publish never arrives at the broker.
    LosePublish up to 1500,
    /// A publish was stored, and the broker's word never arrives.
    LosePublishAnswer up to 1500,
    /// A publish arrives after its sender has given up on the answer.
    LatePublish up to 800,
    /// A settlement never arrives: the message is delivered again.
    LoseSettle up to 2000,
    /// What a receiver tells is lost.
    LoseReceipt up to 4000,
    /// What a receiver tells comes much later.
    LateReceipt up to 1500,
    /// A hello or its answer is lost.
    LoseHello up to 3000,
    /// The broker's leader does not say what it is done with.
    LoseBacklog up to 3000,
    /// The consumer is given something other than the oldest message.
    Reorder up to 3000,
    /// The broker acknowledges a message and has not stored it.
    ForgetMessage up to 1500,
    /// The broker loses the end of its stream, and comes back.
    BrokerCrash up to 100,
    /// The broker's storage is wiped, and the stream is made anew.
    BrokerWipe up to 100,
    /// The broker can't be reached for a while.
    BrokerDown up to 150,
    /// The consumer gets nothing for a while, though messages wait.
    BrokerDeaf up to 150,
    /// All messages are removed from the stream.
    BrokerPurge up to 100,
    /// The consumer is deleted, and made anew after a while.
    ConsumerLost up to 100,
    /// The broker goes on with an older storage: its stream and its ack floor go back.
    BrokerOlder up to 150,
    /// The broker's word that a message is stored comes twice.
    RepeatPublishAnswer up to 1500,
    /// The stream is full: a publish is refused.
    BrokerFull up to 10000,
    /// The sender's process dies.
    SenderCrash up to 200,
    /// The sender's process dies between a commit and what follows from it.
    SenderCrashAfterCommit up to 150,
    /// The sender's store does not commit.
    SenderRollback up to 400,
    /// The receiver's process dies.
    ReceiverCrash up to 200,
    /// The receiver's process dies between a commit and its answer.
    ReceiverCrashAfterCommit up to 150,
    /// The receiver's store does not commit.
    ReceiverRollback up to 400,
    /// The outbox can't be read.
    LoadFails up to 2000,
    /// An event can't be applied for a while.
    ApplyFails up to 300,
    /// An event is of a type that its receiver doesn't know for a while.
    UnknownType up to 300,
    /// A person has all that could not be applied tried again.
    Redrive up to 1500,
    /// The inbox has too many gaps for one more.
    RunCap up to 10000,
    /// A wall clock jumps back.
    ClockBack up to 100,
    /// The channel's mode is switched.
    Switch up to 400,
    /// A receiver joins or leaves.
    JoinOrLeave up to 1000,
    /// Batches and linger are set anew.
    Reconfigure up to 200,
    /// An event arrives with another content than it was sent with.
    Corrupt up to 30,
    /// An event is marked and counted, and its row is not written.
    LoseRow up to 100,
    /// The sender's store is restored from a backup.
    RestoreSender up to 150,
    /// A receiver's store is restored from a backup.
    RestoreReceiver up to 150,
    /// The sender's store is replaced by a new one.
    ReplaceSender up to 50,
    /// A person begins a resync.
    Resync up to 400,
}

/// The faults of a run, as probabilities in ten thousand, and how often each struck.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    chance: [u32; Fault::ALL.len()],
    pub(crate) have_ended: bool,
    pub(crate) struck: [u64; Fault::ALL.len()],
}

impl Faults {
    /// Swarm testing: each run has some faults switched off, and others more or less likely.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let calm = dice.chance(1_000);
        let mut faults = Faults {
            chance: [0; Fault::ALL.len()],
            have_ended: false,
            struck: [0; Fault::ALL.len()],
        };
        for &fault in Fault::ALL {
            let rare = matches!(
                fault,
                Fault::RestoreSender
                    | Fault::RestoreReceiver
                    | Fault::ReplaceSender
                    | Fault::Corrupt
                    | Fault::LoseRow
            );
            let in_force = dice.chance(if rare { 1_000 } else { 5_500 });
            let share = dice.one_of(&[1, 2, 5, 10]);
            if in_force && !calm {
                faults.chance[fault as usize] = (fault.max() / share).max(1);
            }
        }
        for structural in [Fault::BrokerFull, Fault::RunCap] {
            faults.chance[structural as usize] = 10_000;
        }
        faults
    }

    /// Whether it strikes here; counted if so.
    pub(crate) fn strike(&mut self, fault: Fault, dice: &mut Dice) -> bool {
        let strikes = dice.chance(self.chance[fault as usize]);
        self.struck[fault as usize] += u64::from(strikes);
        strikes
    }

    pub(crate) fn may(&self, fault: Fault) -> bool {
        self.chance[fault as usize] > 0
    }

    /// From here on nothing goes wrong.
    pub(crate) fn end(&mut self) {
        self.chance = [0; Fault::ALL.len()];
        self.have_ended = true;
    }
}
