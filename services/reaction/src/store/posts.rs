use duet_web::ids::PostId;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::{Kept, checked};
use crate::domain::{Counts, Kind, Post, Put};

/// A post; none if it isn't there.
pub fn get(connection: &Connection, post: &PostId) -> Result<Option<Post>> {
    connection
        .prepare_cached("SELECT owner, title FROM posts WHERE post = ?1")?
        .query_row([post.as_str()], |row| {
            Ok(Post {
                id: post.clone(),
                owner: checked(row, 0)?,
                title: checked(row, 1)?,
            })
        })
        .optional()
}

/// Up to `limit` posts in the order of their ids, from the one after `after` on.
pub fn page(connection: &Connection, after: Option<&PostId>, limit: usize) -> Result<Vec<Post>> {
    let read = |row: &Row<'_>| {
        Ok(Post {
            id: checked(row, 0)?,
            owner: checked(row, 1)?,
            title: checked(row, 2)?,
        })
    };
    let after = after.map_or("", PostId::as_str);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT post, owner, title FROM posts WHERE post > ?1 ORDER BY post LIMIT ?2",
        )?
        .query_map(params![after, limit], read)?
        .collect()
}

/// Whether a post is there.
pub fn exists(connection: &Connection, post: &str) -> Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM posts WHERE post = ?1")?
        .exists([post])
}

/// Does what [`Post::put`] decided.
pub fn put(connection: &Connection, kept: &Kept, post: &Post, put: Put) -> Result<()> {
    let Post { id, owner, title } = post;
    let statement = match put {
        Put::Nothing => return Ok(()),
        Put::Create => "INSERT INTO posts (post, owner, title) VALUES (?1, ?2, ?3)",
        Put::Retitle => "UPDATE posts SET title = ?3 WHERE post = ?1 AND owner = ?2",
    };
    kept.forget(id.as_str());
    connection
        .prepare_cached(statement)?
        .execute([id.as_str(), owner.as_str(), title.as_str()])?;
    Ok(())
}

/// A post's reactions by kind.
pub fn counts(connection: &Connection, post: &PostId) -> Result<Counts> {
    let mut statement =
        connection.prepare_cached("SELECT kind, count FROM counts WHERE post = ?1")?;
    let mut rows = statement.query([post.as_str()])?;
    let mut counts = Counts::default();
    while let Some(row) = rows.next()? {
        if let Some(kind) = Kind::from_code(row.get(0)?) {
            counts.set(kind, row.get::<_, i64>(1)?.cast_unsigned());
        }
    }
    Ok(counts)
}
