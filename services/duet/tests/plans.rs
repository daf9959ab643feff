//! Costs that grow with size: every statement of the services and of their stores finds what it wants by an index, so that it
//! takes as long with ten million rows as with ten. What looks at all of a table is named here, with its reason.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use duet_channel::{
    clock::Clock,
    store::{
        Store,
        sqlite::{Options, SqliteStore},
    },
};
use rusqlite::{Connection, config::DbConfig, types::Null};

/// The tables that grow: with events, posts, users, and with what waits.
const GROW: [&str; 11] = [
    "outbox",
    "reactions",
    "posts",
    "counts",
    "notifications",
    "groups",
    "kinds",
    "unread_groups",
    "changes",
    "mutes",
    "parked",
];

/// How statements begin that may look at all of one.
const LOOK_AT_ALL: [(&str, &str); 10] = [
    (
        "SELECT coalesce(sum(count), 0) FROM counts",
        "a person asks what a resync would tell",
    ),
    (
        "SELECT store, count(*) FROM notifications",
        "a person asks what a resync would sweep",
    ),
    (
        "SELECT DISTINCT user FROM mutes",
        "once, at the start; those who mute are few",
    ),
    (
        "SELECT newness FROM changes ORDER BY newness DESC LIMIT 1 OFFSET",
        "housekeeping; as many are kept as it passes over",
    ),
    (
        "SELECT * FROM (SELECT newest.id",
        "a person asks why; it looks at the newest of a number",
    ),
    (
        "SELECT 1 FROM outbox LIMIT 1 OFFSET",
        "a person asks why; the offset is that number",
    ),
    (
        "SELECT count(*), coalesce(sum(dead), 0) FROM parked",
        "so many are parked at most",
    ),
    (
        "SELECT count(*) FROM parked WHERE",
        "a person asks; so many are parked at most",
    ),
    (
        "SELECT id, key, epoch FROM parked",
        "a sweep, once for each resync; so many are parked at most",
    ),
    (
        "SELECT id FROM parked WHERE",
        "a person asks; so many are parked at most",
    ),
];

#[tokio::test]
async fn every_statement_finds_what_it_wants_by_an_index() {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let reaction = check(
        duet_reaction::store::MIGRATIONS,
        &[
            services.join("reaction/src"),
            services.join("shared/channel/src/store/sqlite"),
        ],
    )
    .await;
    let notification = check(
        duet_notification::store::MIGRATIONS,
        &[services.join("notification/src")],
    )
    .await;
    assert!(
        reaction > 60 && notification > 25,
        "{reaction} and {notification} statements were found"
    );
}

/// Looks at the plan of each statement in these directories; how many there were.
async fn check(migrations: &'static [&'static str], sources: &[PathBuf]) -> usize {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let (store, _) = SqliteStore::open(&path, Options::new(migrations, Clock::start(), 7)).unwrap();
    store.close().await;
    let connection = Connection::open(&path).unwrap();
    // As the store's own are: no statement is planned for what is bound to it.
    let plan_once = DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
    connection.set_db_config(plan_once, true).unwrap();
    let mut statements = Vec::new();
    sources
        .iter()
        .for_each(|source| collect(source, &mut statements));
    for statement in &statements {
        let named = LOOK_AT_ALL
            .iter()
            .any(|(begins, _)| statement.starts_with(begins));
        for step in plan(&connection, statement) {
            let table = step
                .strip_prefix("SCAN ")
                .and_then(|of| of.split(' ').next());
            let grows = table.is_some_and(|table| GROW.contains(&table));
            assert!(!grows || named, "{step}: {statement}");
        }
    }
    statements.len()
}

fn plan(connection: &Connection, statement: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {statement}");
    let mut explain = connection
        .prepare(&explain)
        .unwrap_or_else(|error| panic!("{error}: {statement}"));
    let nulls = vec![Null; explain.parameter_count()];
    let steps = explain
        .query_map(rusqlite::params_from_iter(nulls), |row| row.get("detail"))
        .unwrap();
    steps.map(Result::unwrap).collect()
}

/// The statements of the Rust files in a directory; what is for tests and audits only, or is of files that no process has open, is not
/// looked at.
fn collect(directory: &Path, statements: &mut Vec<String>) {
    const LEFT_OUT: [&str; 8] = [
        "tests",
        "tests.rs",
        "audit",
        "audit.rs",
        "file.rs",
        "schema.rs",
        // Of services that have no tables of their own; Duet's two have.
        "documents.rs",
        "versions.rs",
    ];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if LEFT_OUT.contains(&name) {
            continue;
        }
        if path.is_dir() {
            collect(&path, statements);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            statements.extend(literals(text).into_iter().filter(|text| is_statement(text)));
        }
    }
}

fn is_statement(text: &str) -> bool {
    const VERBS: [&str; 6] = [
        "SELECT ", "INSERT ", "UPDATE ", "DELETE ", "REPLACE ", "WITH ",
    ];
    // Only a part of one, which another text goes on with, or the name of a setting.
    let is_whole = !["WHERE", "FROM", "AND", ","]
        .iter()
        .any(|end| text.ends_with(end))
        && !text.contains('{');
    VERBS.iter().any(|verb| text.starts_with(verb)) && is_whole
}

/// The text literals of a Rust file; those that a `concat!` joins are one.
fn literals(source: &str) -> Vec<String> {
    let lines = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let source: String = lines.flat_map(|line| [line, "\n"]).collect();
    let source = source
        .replace("codec::event_columns!()", "\"time, type, key, data, traceparent, tracestate, generation\"")
        .replace("named!()", "\" store = ?1 AND partitions = ?2 AND partition = ?3 AND epoch = ?4 AND sequence = ?5\"");
    let mut literals: Vec<String> = Vec::new();
    let mut rest = source.as_str();
    let mut joins = false;
    while let Some(at) = rest.find('"') {
        let between = &rest[..at];
        let mut text = String::new();
        let mut chars = rest[at + 1..].char_indices();
        let mut end = rest.len();
        while let Some((to, char)) = chars.next() {
            match char {
                '"' => {
                    end = at + 1 + to + 1;
                    break;
                }
                '\\' => drop(chars.next()),
                char => text.push(char),
            }
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        joins = between.contains("concat!(") || joins && between.trim() == ",";
        match literals.last_mut() {
            Some(last) if joins && !between.contains("concat!(") => {
                last.push(' ');
                last.push_str(&text);
            }
            _ => literals.push(text),
        }
        rest = &rest[end..];
    }
    literals
}
