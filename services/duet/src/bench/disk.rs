//! The disk that the stores are on: which file system, and what a flush costs there.

use crate::{
    failure::{Doing, Failure, Kind},
    waits::Waits,
};
use serde::Serialize;
use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

/// What is written before each flush: a page, as SQLite has them.
const PAGE: [u8; 4096] = [b'd'; 4096];
/// Pages of the file, which is there before: its size does not change, as that of a write-ahead log in use doesn't.
const PAGES: u64 = 256;
const FLUSHES: u64 = 500;

/// What is told of a disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Disk {
    pub(super) file_system: String,
    /// The median of many: write a page, flush it to the disk (`fdatasync`; on macOS `F_FULLFSYNC`, which SQLite uses too).
    #[serde(rename = "flushMicros", serialize_with = "super::report::micros")]
    pub(super) flush: Duration,
}

impl Disk {
    /// Measures the one that `dir` is on. One that forgets at a power cut is refused: nothing durable can be measured there.
    pub(super) fn under(dir: &Path) -> Result<Self, Failure> {
        let file_system =
            file_system(dir).doing(|| format!("tell the file system of {}", dir.display()))?;
        if ["tmpfs", "ramfs"].contains(&file_system.as_str()) {
            let what = format!(
                "{} is on {file_system}: memory, where being durable costs nothing",
                dir.display()
            );
            return Err(Failure::new(Kind::Failed, what)
                .hint("Name a directory on a disk with --data-dir DIR."));
        }
        let flush = waits(dir)?.within(0.5);
        Ok(Self { file_system, flush })
    }
}

/// How long flushes take there, one after the other.
pub(super) fn waits(dir: &Path) -> Result<Waits, Failure> {
    let mut waits = Waits::new()?;
    let mut flush = || -> std::io::Result<()> {
        let mut file: File = tempfile::tempfile_in(dir)?;
        for _ in 0..PAGES {
            file.write_all(&PAGE)?;
        }
        file.sync_all()?;
        for flush in 0..FLUSHES {
            let page = flush % PAGES;
            file.seek(SeekFrom::Start(page * PAGE.len() as u64))?;
            let started = Instant::now();
            file.write_all(&PAGE)?;
            file.sync_data()?;
            waits.record(started.elapsed());
        }
        Ok(())
    };
    flush().doing(|| format!("flush a file in {}", dir.display()))?;
    Ok(waits)
}

/// The kernel's number for it, named.
#[cfg(target_os = "linux")]
fn file_system(dir: &Path) -> nix::Result<String> {
    // statfs(2) and linux/magic.h.
    let magic = nix::sys::statfs::statfs(dir)?.filesystem_type().0 as u32;
    Ok(match magic {
        0x0102_1994 => "tmpfs",
        0x8584_58f6 => "ramfs",
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0xca45_1a4e => "bcachefs",
        0x794c_7630 => "overlayfs",
        0x6573_5546 => "fuse",
        0x6969 => "nfs",
        0x0102_1997 => "9p",
        _ => return Ok(format!("file system {magic:#x}")),
    }
    .to_owned())
}

#[cfg(not(target_os = "linux"))]
fn file_system(dir: &Path) -> nix::Result<String> {
    Ok(nix::sys::statfs::statfs(dir)?
        .filesystem_type_name()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_named_and_a_flush_takes_time() {
        let disk = Disk::under(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(!disk.file_system.is_empty());
        assert!(disk.flush > Duration::ZERO);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_no_disk() {
        let shm = Path::new("/dev/shm");
        if file_system(shm).is_ok_and(|it| it == "tmpfs") {
            let refused = Disk::under(shm).unwrap_err().to_string();
            assert!(
                refused.contains("tmpfs") && refused.contains("--data-dir"),
                "{refused}"
            );
        }
    }
}
