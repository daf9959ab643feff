//! What an event about a reaction comes to for the post's owner: whether it is in the owner's group afterwards, and whether that is
//! news. A group holds the reactions that its owner was notified of and that still stand, and no other.

use duet_protocol::decision::Decision;

/// What was decided of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The reaction is in its owner's group.
    Notified,
    /// Its owner has muted the post, the kind or the user: it is not.
    Muted,
    /// It is the owner's own: it never is.
    Own,
    /// It was undone, and is taken out of the group.
    Withdrawn,
}

impl Verdict {
    /// The word that the caller is told.
    pub const fn word(self) -> Decision {
        Decision::named(match self {
            Verdict::Notified => "notified",
            Verdict::Muted => "muted",
            Verdict::Own => "own",
            Verdict::Withdrawn => "withdrawn",
        })
    }
}

/// How a pair stands, before an event or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The reaction stands and is in its owner's group.
    Shown,
    /// It stands and is in no group.
    Hidden,
    /// It was undone; it was in a group until then.
    Withdrawn,
    /// It was undone; it was in no group, for it was muted or the owner's own.
    Gone,
    /// It was undone; that it ever stood never came here.
    Unseen,
}

/// What an event tells of its pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The reaction was made, or has another kind now.
    Set,
    /// It was undone.
    Removed,
    /// A failed change of it is taken back: it stands as it did before.
    Restored,
}

/// What became of the change that an event restores from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenBack {
    /// It never came here, or was an undoing one, or what it changed never came.
    Unknown,
    /// It came here, and before it the reaction was in its group.
    FromShown,
    /// It came here, and before it the reaction was in no group.
    FromHidden,
}

/// What is to be done to the owner's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The reaction is not in it: it leaves, if it was.
    Absent,
    /// It is in it, and news: the group becomes the newest, and unread.
    News,
    /// It is in it, and that is no news.
    Silent,
}

/// What an event comes to. `held` is how the pair stands, if anything of it ever came; `is_own` whether the reaction is the post's
/// owner's; `is_muted` is asked only where it matters.
pub fn decide<E>(
    held: Option<Standing>,
    taken_back: TakenBack,
    turn: Turn,
    is_own: bool,
    is_muted: impl FnOnce() -> Result<bool, E>,
) -> Result<(Option<Verdict>, Effect), E> {
    use {Effect as F, Standing as S, Verdict as D};

    Ok(match (turn, held) {
        _ if is_own => (Some(D::Own), F::Absent),
        // Undone again, where what restored it in between has not come: how it was before is remembered, for what restores it now.
        (Turn::Removed, Some(S::Shown | S::Withdrawn)) => (Some(D::Withdrawn), F::Absent),
        (Turn::Removed, Some(S::Hidden | S::Gone)) => (Some(D::Muted), F::Absent),
        // There was nothing to take out, and nothing that was kept from the owner.
        (Turn::Removed, Some(S::Unseen) | None) => (None, F::Absent),
        (Turn::Restored, Some(held)) if held != S::Unseen => {
            let shown = match taken_back {
                TakenBack::FromShown => true,
                TakenBack::FromHidden => false,
                TakenBack::Unknown => matches!(held, S::Shown | S::Withdrawn),
            };
            match shown {
                true => (Some(D::Notified), F::Silent),
                false => (Some(D::Muted), F::Absent),
            }
        }
        // What is restored and never came here is as good as made now.
        (Turn::Set | Turn::Restored, _) => match is_muted()? {
            true => (Some(D::Muted), F::Absent),
            false => (Some(D::Notified), F::News),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::Effect::{Absent, News, Silent};
    use super::Standing::{Gone, Hidden, Shown, Unseen, Withdrawn as Out};
    use super::TakenBack::{FromHidden, FromShown, Unknown};
    use super::Turn::{Removed, Restored, Set};
    use super::Verdict::{Muted, Notified, Own, Withdrawn};
    use super::*;

    fn decided(
        held: Option<Standing>,
        taken_back: TakenBack,
        turn: Turn,
        is_own: bool,
        is_muted: bool,
    ) -> (Option<Verdict>, Effect) {
        let Ok(decided) = decide(held, taken_back, turn, is_own, || {
            Ok::<_, std::convert::Infallible>(is_muted)
        });
        decided
    }

    const ANY: [Option<Standing>; 6] = [
        None,
        Some(Shown),
        Some(Hidden),
        Some(Out),
        Some(Gone),
        Some(Unseen),
    ];

    #[test]
    fn a_reaction_that_is_made_or_changed_is_news_unless_it_is_muted() {
        // Muted, it leaves the group: what its owner was notified of does not stand any more.
        for held in ANY {
            assert_eq!(
                decided(held, Unknown, Set, false, false),
                (Some(Notified), News)
            );
            assert_eq!(
                decided(held, Unknown, Set, false, true),
                (Some(Muted), Absent)
            );
        }
    }

    #[test]
    fn an_undone_one_is_withdrawn_if_it_was_in_the_group_muted_or_not() {
        for is_muted in [false, true] {
            for (held, says) in [
                (None, None),
                (Some(Shown), Some(Withdrawn)),
                (Some(Hidden), Some(Muted)),
                (Some(Out), Some(Withdrawn)),
                (Some(Gone), Some(Muted)),
                (Some(Unseen), None),
            ] {
                let is = decided(held, Unknown, Removed, false, is_muted);
                assert_eq!(is, (says, Absent), "{held:?}");
            }
        }
    }

    #[test]
    fn what_is_taken_back_stands_as_before_whatever_was_muted_meanwhile() {
        let shown = (Some(Notified), Silent);
        let hidden = (Some(Muted), Absent);
        for is_muted in [false, true] {
            for (held, taken_back, says) in [
                (Shown, Unknown, shown),
                (Hidden, Unknown, hidden),
                (Out, Unknown, shown),
                (Gone, Unknown, hidden),
                (Shown, FromShown, shown),
                (Shown, FromHidden, hidden),
                (Hidden, FromShown, shown),
                (Hidden, FromHidden, hidden),
            ] {
                let is = decided(Some(held), taken_back, Restored, false, is_muted);
                assert_eq!(is, says, "{held:?} {taken_back:?}");
            }
        }
    }

    #[test]
    fn what_is_restored_and_never_came_here_is_made_now() {
        for held in [None, Some(Unseen)] {
            let restored = |is_muted| decided(held, Unknown, Restored, false, is_muted);
            assert_eq!(restored(false), (Some(Notified), News));
            assert_eq!(restored(true), (Some(Muted), Absent));
        }
    }

    #[test]
    fn an_owners_own_is_never_shown() {
        for held in ANY {
            for turn in [Set, Removed, Restored] {
                for is_muted in [false, true] {
                    let is = decided(held, Unknown, turn, true, is_muted);
                    assert_eq!(is, (Some(Own), Absent), "{held:?} {turn:?}");
                }
            }
        }
    }
}
