use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use duet_channel::store::{Store, StoreError, Transaction};
use duet_web::body::Json;
use duet_web::cursor::Position;
use duet_web::ids::{PostId, Title, UserId};
use duet_web::page::{List, Page, PageParams};
use duet_web::problem::{AnyProblem, BodyProblem, ProblemDetails};
use duet_web::{Kind, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::path::InPath;
use super::unavailable;
use crate::domain::{self, AnotherOwner, Counts, Put};
use crate::service::Sending;
use crate::store::posts;

/// A post to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PostBody {
    /// Who is notified of reactions to it; never changes.
    owner: UserId,
    /// Its title; may change.
    title: Title,
}

/// A post and its reactions by kind.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Post {
    post: PostId,
    owner: UserId,
    title: Title,
    counts: Counts,
}

impl Post {
    fn new(
        domain::Post {
            id: post,
            owner,
            title,
        }: domain::Post,
        counts: Counts,
    ) -> Self {
        Self {
            post,
            owner,
            title,
            counts,
        }
    }
}

/// Make a post, or change its title
#[utoipa::path(
    put,
    operation_id = "putPost",
    path = "/v1/posts/{post}",
    tag = "posts",
    params(("post" = PostId, Path)),
    responses(
        (status = 200, body = Post, description = "It was there; its title is as wanted"),
        (status = 201, body = Post, description = "It is new"),
        BodyProblem,
        (status = 409, body = ProblemDetails, content_type = "application/problem+json", description = "It has another owner"),
        AnyProblem,
    )
)]
pub(super) async fn put(
    sending: web::Data<Sending>,
    InPath(id): InPath<PostId>,
    Json(PostBody { owner, title }): Json<PostBody>,
) -> Result<HttpResponse, Problem> {
    let post = domain::Post { id, owner, title };
    let (wanted, kept) = (post.clone(), sending.service().kept.clone());
    let written = sending.store().write(move |tx| {
        let connection = tx.connection();
        let existing = posts::get(connection, &wanted.id)?;
        let put = match wanted.put(existing.as_ref()) {
            Ok(put) => put,
            Err(AnotherOwner) => return Ok(Err(AnotherOwner)),
        };
        posts::put(connection, &kept, &wanted, put)?;
        kept.write(connection)?;
        Ok(Ok((put, posts::counts(connection, &wanted.id)?)))
    });
    let (put, counts) = written
        .await
        .map_err(unavailable)?
        .map_err(|AnotherOwner| {
            let detail = format!(
                "{} is another user's: name its owner, or take another id.",
                post.id
            );
            Problem::new(Kind::AnotherOwner, detail)
        })?;
    let status = match put {
        Put::Create => StatusCode::CREATED,
        Put::Retitle | Put::Nothing => StatusCode::OK,
    };
    Ok(HttpResponse::build(status).json(Post::new(post, counts)))
}

/// A post, with its reactions by kind
#[utoipa::path(
    get,
    operation_id = "getPost",
    path = "/v1/posts/{post}",
    tag = "posts",
    params(("post" = PostId, Path)),
    responses(
        (status = 200, body = Post, description = "The post"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "There is no such post"),
        AnyProblem,
    )
)]
pub(super) async fn get(
    sending: web::Data<Sending>,
    InPath(id): InPath<PostId>,
) -> Result<web::Json<Post>, Problem> {
    let wanted = id.clone();
    let read = sending.store().read(move |connection| {
        let Some(post) = posts::get(connection, &wanted)? else {
            return Ok(None);
        };
        Ok(Some(Post::new(post, posts::counts(connection, &wanted)?)))
    });
    let post = read.await.map_err(unavailable)?;
    post.map(web::Json).ok_or_else(|| post_not_found(&id))
}

/// Where a page of the posts ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AfterPost(PostId);

impl Position for AfterPost {
    const LIST: &'static str = "posts";
}

/// The posts, in the order of their ids
#[utoipa::path(
    get,
    operation_id = "listPosts",
    path = "/v1/posts",
    tag = "posts",
    params(PageParams),
    responses(
        (status = 200, body = List<Post>, description = "A page of them"),
        AnyProblem,
    )
)]
pub(super) async fn list(
    sending: web::Data<Sending>,
    page: Page<AfterPost>,
) -> Result<web::Json<List<Post>>, Problem> {
    let Page { after, limit } = page;
    let read = sending.store().read(move |connection| {
        let after = after.as_ref().map(|AfterPost(post)| post);
        let found = posts::page(connection, after, limit.get() + 1)?;
        let counted = found.into_iter().map(|post| {
            let counts = posts::counts(connection, &post.id)?;
            Ok(Post::new(post, counts))
        });
        counted.collect::<Result<Vec<_>, StoreError>>()
    });
    let items = read.await.map_err(unavailable)?;
    Ok(web::Json(List::from_one_more(items, limit, |item| {
        AfterPost(item.post.clone())
    })))
}

pub(super) fn post_not_found(post: &PostId) -> Problem {
    let detail = format!("There is no post {post}: make it first, with PUT /v1/posts/{post}.");
    Problem::new(Kind::PostNotFound, detail)
}
