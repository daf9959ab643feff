use duet_web::ids::{PostId, Title, UserId};

/// A post that can be reacted to. Its owner never changes; its title may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its id.
    pub id: PostId,
    /// Who is notified of reactions to it.
    pub owner: UserId,
    /// Its title.
    pub title: Title,
}

/// The post belongs to another user than the one who was named as its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the post has another owner")]
pub struct AnotherOwner;

/// What putting a post does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Create,
    /// Its title changes.
    Retitle,
    /// It is as wanted already.
    Nothing,
}

impl Post {
    /// What it means to put this post where `existing` is.
    pub fn put(&self, existing: Option<&Post>) -> Result<Put, AnotherOwner> {
        match existing {
            None => Ok(Put::Create),
            Some(existing) if existing.owner != self.owner => Err(AnotherOwner),
            Some(existing) if existing.title != self.title => Ok(Put::Retitle),
            Some(_) => Ok(Put::Nothing),
        }
    }
}
