//! The `duet` command: runs the pair on a laptop, switches its mode, shows its state and its traces.

/// Whether what a pair stores balances.
mod audit;
/// Measurements of the pair.
mod bench;
/// The verbs and what each is told.
mod cli;
/// One module a verb.
mod commands;
/// What each mode costs, what is said of it, and which to use.
mod compare;
/// Traffic at a fixed rate, and whether all of it arrived.
mod load;

/// The pair in a Kubernetes cluster.
mod cluster;
/// Where the pair is: here or in a cluster.
mod place;

/// The Channel document as a file: read, checked, one line of it edited.
mod channel_file;
/// The directory that a pair lives in, and who holds it.
mod data_dir;
/// Why a command failed, with its exit code and what to do.
mod failure;
/// Questions to the services' internal ports.
mod internal;
/// Traces: Jaeger's query API, and the tree that is printed.
mod jaeger;
/// SVG, for reports.
mod pictures;
/// A process that is known again, even after its id was given to another.
mod process;
/// What a running `duet up` tells the other verbs.
mod running;
/// Ctrl-C, and what else asks this process to stop.
mod signals;
/// A time that something took, as it is printed.
mod took;
/// How long callers waited.
mod waits;
/// Why a pair stands as it does.
mod why;

/// What a request allocates is freed by other threads than those that allocated it, which costs less here than in glibc.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    match cli::run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("duet: {failure}");
            failure.exit_code()
        }
    }
}
