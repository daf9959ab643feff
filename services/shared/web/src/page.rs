//! Lists: `?cursor=…&limit=1…500` in, `{items, next}` out.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Query;
use actix_web::{FromRequest, HttpRequest};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{self, InvalidCursor, Owned, Position};
use crate::ids::UserId;
use crate::problem::{FieldError, Kind, Problem};

/// How many items a page has at most: 1 to 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// The highest.
    pub const MAX: u16 = 500;
    /// What a request without one gets.
    pub const DEFAULT: Limit = Limit(50);

    fn parse(text: &str) -> Result<Self, Problem> {
        match text.parse() {
            Ok(limit @ 1..=Self::MAX) => Ok(Limit(limit)),
            _ => {
                let error = FieldError::of(
                    "limit",
                    format!("a limit is a whole number from 1 to {}", Self::MAX),
                );
                Err(Problem::new(Kind::InvalidParameter, format!("{}.", error.detail)).with(error))
            }
        }
    }

    /// The limit as a number.
    pub fn get(self) -> usize {
        self.0.into()
    }
}

/// Which page of a list is asked for. Query parameters that no list has are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<P> {
    /// What the page before ended with; none for the first page.
    pub after: Option<P>,
    /// The most items to give.
    pub limit: Limit,
}

/// The query parameters of [`Page`], for OpenAPI.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "its fields are read by the derive alone")]
pub struct PageParams {
    /// `next` of the page before; without it the list begins at its start
    #[param(max_length = 1024, nullable = false)]
    cursor: Option<String>,
    /// The most items to give
    #[param(minimum = 1, maximum = 500, default = 50, nullable = false)]
    limit: Option<u16>,
}

/// A query parameter is not what it must be.
pub(crate) fn invalid(error: FieldError) -> Problem {
    let detail = match &error.parameter {
        Some(name) => format!("{name}: {}.", error.detail),
        None => error.detail.clone(),
    };
    Problem::new(Kind::InvalidParameter, detail).with(error)
}

impl<P: Position> Page<P> {
    fn parse(query: &str) -> Result<Self, Problem> {
        let (page, others) = Self::with_others(query)?;
        match others.into_iter().next() {
            None => Ok(page),
            Some((name, _)) => Err(invalid(FieldError::of(name, "there is no such parameter"))),
        }
    }

    /// The page, and the parameters that say something else, in their order.
    pub(crate) fn with_others(query: &str) -> Result<(Self, Vec<(String, String)>), Problem> {
        let parameters = Query::<Vec<(String, String)>>::from_query(query).map_err(|error| {
            Problem::new(
                Kind::InvalidParameter,
                format!("The query can't be read: {error}."),
            )
        })?;
        let (mut after, mut limit, mut others) = (None, None, Vec::new());
        for (name, value) in parameters.into_inner() {
            let twice = match name.as_str() {
                "cursor" => after
                    .replace(cursor::decode(&value).map_err(refused)?)
                    .is_some(),
                "limit" => limit.replace(Limit::parse(&value)?).is_some(),
                _ => {
                    others.push((name, value));
                    continue;
                }
            };
            if twice {
                return Err(invalid(FieldError::of(name, "it is given twice")));
            }
        }
        let limit = limit.unwrap_or(Limit::DEFAULT);
        Ok((Self { after, limit }, others))
    }
}

impl<P: Owned> Page<P> {
    /// The page, if its cursor is of this user's own list.
    pub fn of(self, owner: &UserId) -> Result<Self, Problem> {
        let after = self.after.map(|after| cursor::of(after, owner));
        Ok(Self {
            after: after.transpose().map_err(refused)?,
            ..self
        })
    }
}

fn refused(error: InvalidCursor) -> Problem {
    Problem::new(Kind::InvalidCursor, format!("cursor: {error}."))
        .with(FieldError::of("cursor", error.to_string()))
}

impl<P: Position> FromRequest for Page<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// The cursor of the next page; null at the list's end.
    #[schema(required)]
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A page from up to `limit + 1` items: one more than fits tells that there is a next page, which begins after the
    /// `position` of the last that fits.
    pub fn from_one_more<P: Position>(
        mut items: Vec<T>,
        limit: Limit,
        position: impl Fn(&T) -> P,
    ) -> Self {
        let more = items.len() > limit.get();
        items.truncate(limit.get());
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| cursor::encode(&position(last)));
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Number(u32);
    impl Position for Number {
        const LIST: &'static str = "numbers";
    }

    #[test]
    fn a_page_ends_with_a_cursor_only_if_there_is_more() {
        let two = Limit(2);
        let list = List::from_one_more(vec![1, 2, 3], two, |&n| Number(n));
        assert_eq!(list.items, [1, 2]);
        assert_eq!(cursor::decode(&list.next.unwrap()), Ok(Number(2)));
        assert_eq!(
            List::from_one_more(vec![1, 2], two, |&n| Number(n)).next,
            None
        );
        assert_eq!(
            List::from_one_more(vec![], two, |&n: &u32| Number(n)).next,
            None
        );
    }

    #[test]
    fn limits_cursors_and_names_that_are_wrong_are_refused() {
        let kind = |query| Page::<Number>::parse(query).unwrap_err().kind();
        for query in [
            "limit=0",
            "limit=501",
            "limit=-1",
            "limit=x",
            "limit=",
            "limit=1&limit=2",
            "page=2",
        ] {
            assert_eq!(kind(query), Kind::InvalidParameter, "{query}");
        }
        assert_eq!(kind("cursor=garbage"), Kind::InvalidCursor);
        assert_eq!(kind("cursor="), Kind::InvalidCursor);
        let first = Page {
            after: None,
            limit: Limit::DEFAULT,
        };
        assert_eq!(Page::<Number>::parse("").unwrap(), first);
    }
}
