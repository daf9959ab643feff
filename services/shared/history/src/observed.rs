//! Whether what was seen at a receiver can have been there: a receiver may be behind, but shows nothing that nobody wanted, and nothing
//! older than what a caller was told to be delivered.

use crate::history::{Answer, Did, Operation, Standing};

/// The first read at a receiver that nothing explains, of a story in the order of asking.
pub(crate) fn unexplained(story: &[Operation]) -> Option<&Operation> {
    story.iter().find(|read| match &read.did {
        Did::Observed { saw, .. } => !explains(story, read, saw),
        _ => false,
    })
}

/// Whether a change that wanted this was asked for by then, and was not answered before one was begun that was delivered before the read.
/// Nothing at all is what there was before every change.
fn explains(story: &[Operation], read: &Operation, saw: &Standing) -> bool {
    let delivered = story.iter().filter(|it| {
        let told = matches!(
            it.did,
            Did::Wrote {
                answer: Answer::Delivered,
                ..
            }
        );
        told && it.ended < read.invoked
    });
    let newest = delivered.map(|it| it.invoked).max();
    let wanted = story.iter().any(|it| match &it.did {
        Did::Wrote { wanted, .. } => {
            wanted == saw
                && it.invoked <= read.ended
                && newest.is_none_or(|newest| it.ended >= newest)
        }
        _ => false,
    });
    wanted || (saw.is_none() && newest.is_none())
}
