//! Opaque positions in a list: what a page ended with, for the next one to begin after.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ids::UserId;

/// The columns a list is ordered by: a page begins after them, by index, however long the list is.
pub trait Position: Serialize + DeserializeOwned {
    /// The list's name: a cursor of another list is refused.
    const LIST: &'static str;
}

/// A position in a list of one user's own.
pub trait Owned: Position {
    /// Whose list it is: a cursor of another user's is refused.
    fn owner(&self) -> &UserId;
}

/// Why a text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCursor {
    /// Not a text that any list gives out.
    #[error(
        "it is not a cursor: use `next` of the page before, as it is, or none to begin at the start"
    )]
    Garbage,
    /// Another list's.
    #[error("it is a cursor of another list")]
    AnotherList,
    /// Another user's.
    #[error("it is a cursor of another user's list")]
    AnotherUser,
}

/// The longest cursor that is looked at, in bytes.
const MAX_LENGTH: usize = 1024;

/// The cursor to `position`.
pub fn encode<P: Position>(position: &P) -> String {
    let json = serde_json::to_vec(&(P::LIST, position)).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(json)
}

/// The position that a cursor holds; every part of it is checked as if the caller had written it.
pub fn decode<P: Position>(cursor: &str) -> Result<P, InvalidCursor> {
    if cursor.len() > MAX_LENGTH {
        return Err(InvalidCursor::Garbage);
    }
    let json = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| InvalidCursor::Garbage)?;
    let (list, position): (&str, &serde_json::value::RawValue) =
        serde_json::from_slice(&json).map_err(|_| InvalidCursor::Garbage)?;
    if list != P::LIST {
        return Err(InvalidCursor::AnotherList);
    }
    serde_json::from_str(position.get()).map_err(|_| InvalidCursor::Garbage)
}

/// The position that a cursor holds, if the list is this user's.
pub fn decode_of<P: Owned>(cursor: &str, owner: &UserId) -> Result<P, InvalidCursor> {
    decode::<P>(cursor).and_then(|position| of(position, owner))
}

/// The position, if the list is this user's.
pub(crate) fn of<P: Owned>(position: P, owner: &UserId) -> Result<P, InvalidCursor> {
    match position.owner() == owner {
        true => Ok(position),
        false => Err(InvalidCursor::AnotherUser),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::ids::UserId;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct ByUser(UserId);
    impl Position for ByUser {
        const LIST: &'static str = "users";
    }

    impl Owned for ByUser {
        fn owner(&self) -> &UserId {
            &self.0
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct ByNumber(i64);
    impl Position for ByNumber {
        const LIST: &'static str = "numbers";
    }

    #[test]
    fn a_cursor_leads_back_to_its_position() {
        let position = ByUser("ana".parse().unwrap());
        assert_eq!(decode(&encode(&position)), Ok(position));
    }

    #[test]
    fn a_cursor_of_a_users_own_list_is_of_use_to_that_user_alone() {
        let [ana, bob] = ["ana", "bob"].map(|user| user.parse().unwrap());
        let cursor = encode(&ByUser(ana));
        let ByUser(ana) = decode(&cursor).unwrap();
        assert_eq!(decode_of(&cursor, &ana), Ok(ByUser(ana)));
        assert_eq!(
            decode_of::<ByUser>(&cursor, &bob),
            Err(InvalidCursor::AnotherUser)
        );
    }

    #[test]
    fn garbage_another_lists_and_forged_ones_are_refused() {
        for text in ["", "!", "zzzz", "eyJhIjoxfQ", &"A".repeat(2_000)] {
            assert_eq!(
                decode::<ByUser>(text),
                Err(InvalidCursor::Garbage),
                "{text}"
            );
        }
        assert_eq!(
            decode::<ByUser>(&encode(&ByNumber(1))),
            Err(InvalidCursor::AnotherList)
        );
        let forged = URL_SAFE_NO_PAD.encode(r#"["users",".."]"#);
        assert_eq!(decode::<ByUser>(&forged), Err(InvalidCursor::Garbage));
    }
}
