use super::Begin;
use crate::domain::Newness;
use crate::store::changes::Page;

/// How much of an owner's changes a stream has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// It has told all up to this one.
    after: Newness,
    /// Up to where changes were forgotten when it began or last had told all: those are no loss to it. None before its first page.
    forgotten: Option<Newness>,
}

impl Progress {
    /// Nothing is told yet.
    pub fn of(begin: Begin) -> Self {
        match begin {
            // Whoever begins it there has seen that none after it is forgotten.
            Begin::After(newness) => Self {
                after: newness,
                forgotten: Some(newness),
            },
            Begin::Start | Begin::Anew => Self {
                after: Newness::default(),
                forgotten: None,
            },
        }
    }

    /// After which change the next page begins.
    pub fn after(self) -> Newness {
        self.after
    }

    /// Goes on by the page that was read after [`Progress::after`]. False if meanwhile something was forgotten that would have been in
    /// it: then it has to begin anew.
    pub fn take(&mut self, page: &Page) -> bool {
        let known = self.forgotten.unwrap_or(page.forgotten);
        if page.forgotten > known.max(self.after) {
            return false;
        }
        self.after = page.up_to;
        self.forgotten = Some(if page.is_last { page.forgotten } else { known });
        true
    }
}
