//! Open TCP connections of a process, from proc(5).

use std::{collections::BTreeSet, path::Path};

/// How many connections the process has to that port; none where the system doesn't tell.
pub(super) fn of(pid: u32, port: u16) -> Option<u64> {
    let process = Path::new("/proc").join(pid.to_string());
    let mut sockets = BTreeSet::new();
    for fd in std::fs::read_dir(process.join("fd")).ok()?.flatten() {
        let target = std::fs::read_link(fd.path()).unwrap_or_default();
        let inode = target
            .to_str()
            .and_then(|it| it.strip_prefix("socket:[")?.strip_suffix(']'));
        sockets.extend(inode.map(str::to_owned));
    }
    let mut connections = 0;
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(process.join("net").join(table)).unwrap_or_default();
        connections += established(&text, &sockets, port);
    }
    Some(connections)
}

/// Of the table's lines those that are established, of these sockets, to that port.
fn established(table: &str, sockets: &BTreeSet<String>, port: u16) -> u64 {
    let is_one = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, _, remote, "01", ..] = fields[..] else {
            return false;
        };
        let to = remote
            .rsplit_once(':')
            .map(|(_, port)| u16::from_str_radix(port, 16));
        to == Some(Ok(port)) && fields.get(9).is_some_and(|inode| sockets.contains(*inode))
    };
    table.lines().filter(is_one).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_connections_of_this_process_are_counted_and_those_of_the_other_side_are_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let of_this = || of(std::process::id(), port);
        assert_eq!(of_this(), Some(0));
        let two = [(); 2].map(|()| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
        assert_eq!(of_this(), Some(2));
        drop(two);
    }
}
