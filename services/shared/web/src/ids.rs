//! Ids and titles: checked once, at the edge; past it the types carry the proof.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Empty, or over [`MAX_ID`] characters.
    #[error("an id has 1 to {MAX_ID} characters, this one has {length}")]
    Length {
        /// How many characters it has.
        length: usize,
    },
    /// A character that ids don't have.
    #[error(
        "an id is made of A-Z a-z 0-9 . _ : -, this one has {character:?} as character {position}"
    )]
    Character {
        /// The first such character.
        character: char,
        /// Its place, from 1.
        position: usize,
    },
    /// `.`, `..` and so on: clients and proxies take these for directories.
    #[error("an id can't be of dots alone")]
    OnlyDots,
}

/// The most characters an id has.
pub const MAX_ID: usize = 128;

fn check_id(text: &str) -> Result<(), InvalidId> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    if let Some((at, character)) = text.chars().enumerate().find(|&(_, c)| !allowed(c)) {
        let position = at + 1;
        return Err(InvalidId::Character {
            character,
            position,
        });
    }
    let length = text.len();
    if !(1..=MAX_ID).contains(&length) {
        return Err(InvalidId::Length { length });
    }
    if text.bytes().all(|byte| byte == b'.') {
        return Err(InvalidId::OnlyDots);
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, example $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
        #[schema(
            value_type = String,
            min_length = 1,
            max_length = 128,
            pattern = r"^(?!\.+$)[A-Za-z0-9._:\-]+$",
            example = $example,
        )]
        pub struct $name(Box<str>);

        impl $name {
            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check_id(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                checked(deserializer)
            }
        }
    };
}

id! {
    /// A post's id: 1 to 128 of `A-Z a-z 0-9 . _ : -`, not dots alone.
    PostId, example "post-1"
}
id! {
    /// A user's id: 1 to 128 of `A-Z a-z 0-9 . _ : -`, not dots alone.
    UserId, example "ana"
}

/// Why a text is no title.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTitle {
    /// Empty, or over [`Title::MAX`] characters.
    #[error("a title has 1 to {} characters, this one has {length}", Title::MAX)]
    Length {
        /// How many characters it has.
        length: usize,
    },
    /// A line break, a NUL or the like: they can't be shown, and some stores can't hold them.
    #[error(
        "a title has no control characters, this one has {character:?} as character {position}"
    )]
    Control {
        /// The first such character.
        character: char,
        /// Its place, from 1.
        position: usize,
    },
}

/// A post's title: 1 to 200 characters (Unicode scalar values), no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 200,
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$",
    example = "First light",
)]
pub struct Title(Box<str>);

impl Title {
    /// The most characters a title has.
    pub const MAX: usize = 200;

    /// The title's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Title {
    type Err = InvalidTitle;

    fn from_str(text: &str) -> Result<Self, InvalidTitle> {
        let length = text.chars().count();
        if !(1..=Self::MAX).contains(&length) {
            return Err(InvalidTitle::Length { length });
        }
        match text.chars().enumerate().find(|(_, c)| c.is_control()) {
            Some((at, character)) => Err(InvalidTitle::Control {
                character,
                position: at + 1,
            }),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Title {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked(deserializer)
    }
}

/// Deserializes a string and parses it, without a copy in between.
fn checked<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Checked<T>(std::marker::PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> serde::de::Visitor<'_> for Checked<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Checked(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_1_to_128_of_its_characters() {
        for text in ["a", "..a", "urn:isbn:0-306", "A.b_c:d-9", &"x".repeat(128)] {
            assert_eq!(
                text.parse::<PostId>().map(|id| id.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn what_is_wrong_with_an_id_is_told_with_its_place() {
        let position = |text: &str| text.parse::<UserId>().unwrap_err();
        assert_eq!(position(""), InvalidId::Length { length: 0 });
        assert_eq!(
            position(&"x".repeat(129)),
            InvalidId::Length { length: 129 }
        );
        assert_eq!(position(".."), InvalidId::OnlyDots);
        let slash = InvalidId::Character {
            character: '/',
            position: 2,
        };
        assert_eq!(position("a/b"), slash);
        let accent = InvalidId::Character {
            character: 'é',
            position: 4,
        };
        assert_eq!(position("Andé"), accent);
    }

    #[test]
    fn a_title_is_counted_in_characters_not_bytes() {
        assert!("é".repeat(200).parse::<Title>().is_ok());
        let long = "é".repeat(201).parse::<Title>();
        assert_eq!(long, Err(InvalidTitle::Length { length: 201 }));
        assert!("two\nlines".parse::<Title>().is_err());
    }

    #[test]
    fn json_ids_are_checked_too() {
        let error = serde_json::from_str::<PostId>(r#""..""#).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("an id can't be of dots alone")
        );
    }
}
