//! `GET /v1/why?key=…&event=…` on the internal ports: what a store tells of the life of a key's latest event
//! ([`duet_channel::life`]), for `duet why`.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Query;
use actix_web::{FromRequest, HttpRequest};
use duet_protocol::event::{EventId, Key};

use crate::problem::{FieldError, Kind, Problem};

/// Where it is asked.
pub const WHY: &str = "/v1/why";

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The key: `POST/USER`.
    pub key: Key,
    /// An event of it, of which a receiver tells whether it has come.
    pub event: Option<EventId>,
}

impl Asked {
    fn parse(query: &str) -> Result<Self, Problem> {
        let invalid = |name: &str, detail: String| {
            let error = FieldError::of(name.to_owned(), detail);
            Problem::new(Kind::InvalidParameter, format!("{name}: {}.", error.detail)).with(error)
        };
        let given = Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|error| invalid("key", format!("the query can't be read: {error}")))?;
        let (mut key, mut event) = (None, None);
        for (name, value) in given.into_inner() {
            match name.as_str() {
                "key" if key.is_none() => {
                    let read = Key::new(value).ok_or_else(|| {
                        invalid("key", format!("a key has 1 to {} bytes", Key::MAX))
                    });
                    key = Some(read?);
                }
                "event" if event.is_none() => {
                    let read = value
                        .parse()
                        .map_err(|error| invalid("event", format!("{error}")));
                    event = Some(read?);
                }
                "key" | "event" => return Err(invalid(&name, "it is given twice".to_owned())),
                _ => return Err(invalid(&name, "there is no such parameter".to_owned())),
            }
        }
        let key = key.ok_or_else(|| invalid("key", "it is missing".to_owned()))?;
        Ok(Asked { key, event })
    }
}

impl FromRequest for Asked {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_asked_about_and_perhaps_an_event_of_it_and_nothing_else() {
        const EVENT: &str = "000000000000feed.0010.0003.000000000000002a.0000000000000007";
        let asked = Asked::parse(&format!("key=p1%2Fana&event={EVENT}")).unwrap();
        assert_eq!(asked.key.as_str(), "p1/ana");
        assert_eq!(asked.event.map(|it| it.to_string()).as_deref(), Some(EVENT));
        assert_eq!(Asked::parse("key=a").unwrap().event, None);
        for bad in [
            "",
            "event=1",
            "key=",
            "key=a&key=b",
            "key=a&event=x",
            "key=a&more=b",
        ] {
            assert_eq!(
                Asked::parse(bad).unwrap_err().kind(),
                Kind::InvalidParameter,
                "{bad}"
            );
        }
    }
}
