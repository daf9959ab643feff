use bytes::Bytes;
use duet_protocol::event::{Data, Key};
use duet_protocol::time::Timestamp;
use duet_web::reaction_event::{REMOVED, SET};
use serde::Serialize;

use super::Kind;

/// What an event about a pair tells: the pair's state afterwards, and the post as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Told<'a> {
    /// Which post.
    pub post: &'a str,
    /// Whose reaction.
    pub user: &'a str,
    /// Whom to notify.
    pub owner: &'a str,
    /// The post's title.
    pub title: &'a str,
    /// The reaction; none if it was undone.
    pub kind: Option<Kind>,
    /// Since when.
    #[serde(serialize_with = "duet_web::time::rfc3339")]
    pub at: Timestamp,
    /// It takes a failed change back, or tells again what stands: nobody is notified anew.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restores: bool,
    /// It tells again what stands, after a resync.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub announces: bool,
}

impl Told<'_> {
    /// The event's data, about `key`.
    pub fn data(&self, key: &Key) -> serde_json::Result<Data> {
        Ok(Data {
            kind: if self.kind.is_some() { SET } else { REMOVED }.into(),
            key: key.clone(),
            json: Bytes::from(serde_json::to_vec(self)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_the_pairs_state_and_the_post_as_it_was() {
        let key = Key::new("p1/ana").unwrap();
        let at = Timestamp::from_micros(1_796_000_000_123_456);
        let mut told = Told {
            post: "p1",
            user: "ana",
            owner: "bob",
            title: "T",
            kind: Some(Kind::Love),
            at,
            restores: false,
            announces: false,
        };
        let data = told.data(&key).unwrap();
        assert_eq!(&*data.kind, SET);
        let json = r#"{"post":"p1","user":"ana","owner":"bob","title":"T","kind":"love","at":"2026-11-30T00:53:20.123456Z"}"#;
        assert_eq!(data.json, json.as_bytes());

        (told.kind, told.restores) = (None, true);
        let data = told.data(&key).unwrap();
        assert_eq!(&*data.kind, REMOVED);
        assert!(
            data.json
                .ends_with(br#""kind":null,"at":"2026-11-30T00:53:20.123456Z","restores":true}"#)
        );
    }
}
