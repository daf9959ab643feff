use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use duet_web::Problem;
use duet_web::ids::PostId;
use duet_web::routes::parameter;

use crate::domain::Pair;

/// What a path names: a post, or a pair of post and user.
pub(super) struct InPath<T>(pub(super) T);

impl FromRequest for InPath<PostId> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parameter(request, "post").map(InPath))
    }
}

impl FromRequest for InPath<Pair> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pair = || {
            Ok(InPath(Pair {
                post: parameter(request, "post")?,
                user: parameter(request, "user")?,
            }))
        };
        ready(pair())
    }
}
