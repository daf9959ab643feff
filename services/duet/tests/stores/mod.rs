//! A store's file, as an administrator treats it.
#![allow(dead_code, reason = "not every test program treats it in every way")]

use duet_testkit::Service;
use rusqlite::{Connection, OpenFlags};
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

/// How long a store's writer may keep a reader out.
const BUSY: Duration = Duration::from_secs(10);

/// A copy of a store, made while its service ran.
pub(crate) struct Backup {
    file: PathBuf,
    _dir: TempDir,
}

fn store(service: &Service) -> PathBuf {
    let name = service.name();
    service.data_dir().join(format!("{name}.sqlite"))
}

impl Backup {
    /// Copies the last commit, as `sqlite3 STORE "VACUUM INTO 'COPY'"` does.
    pub(crate) fn of(service: &Service) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("copy.sqlite");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(store(service), flags).unwrap();
        connection.busy_timeout(BUSY).unwrap();
        let into = [file.to_str().unwrap()];
        connection.execute("VACUUM INTO ?1", into).unwrap();
        Self { file, _dir: dir }
    }

    /// Puts it in the place of the store of a service that does not run.
    pub(crate) fn put_back(&self, service: &Service) {
        let store = store(service);
        for log in ["-wal", "-shm"] {
            let log = PathBuf::from(format!("{}{log}", store.display()));
            let _ = std::fs::remove_file(log);
        }
        std::fs::copy(&self.file, store).unwrap();
    }
}

/// Throws away all that a service keeps, which does not run: what is mounted there next is a new volume.
pub(crate) fn lose(service: &Service) {
    for entry in std::fs::read_dir(service.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// What a resync would change in a sender's store.
pub(crate) const SENDERS: [&str; 4] = [
    "SELECT post, user, kind, epoch, sequence FROM reactions WHERE kind IS NOT NULL",
    "SELECT partition, epoch FROM epochs",
    "SELECT * FROM begins",
    "SELECT begun, announced FROM resync",
];
/// And in a receiver's.
pub(crate) const RECEIVERS: [&str; 3] = [
    "SELECT post, user, kind, newness, epoch, sequence FROM notifications WHERE kind IS NOT NULL",
    "SELECT owner, post, count, newness, read_up_to FROM groups",
    "SELECT store, floor FROM inbox_lanes",
];

/// What queries find, for comparing.
pub(crate) fn content(service: &Service, queries: &[&str]) -> Vec<String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(store(service), flags).unwrap();
    let mut content = Vec::new();
    for query in queries {
        let mut select = connection.prepare(query).unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..columns).map(|at| row.get_ref(at).unwrap());
            content.push(format!("{:?}", values.collect::<Vec<_>>()));
        }
    }
    content
}
