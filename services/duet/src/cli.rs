//! The verbs and what each is told.

use crate::{
    bench::{self, baseline},
    commands::{
        audit, compare, dead_letters, faults, load, mode, resync, serve, status, tether, trace, up,
        why,
    },
    failure::{EXIT_CODES, Failure},
};
use clap::{Parser, Subcommand};

/// Two services and the two ways they can talk: run them, switch the mode, see what it does.
#[derive(Debug, Parser)]
#[command(name = "duet", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the pair here: Reaction, Notification, a nats-server and Jaeger's pages, until Ctrl-C
    Up(up::Options),
    /// Run one service in this process
    Serve(serve::Options),
    /// Show the mode, or switch it
    ///
    /// A switch ends once each service follows; it needs no restart, and loses and repeats nothing. The pair is that of `duet up` on
    /// this machine, unless --context, --namespace or --release says that it is in a Kubernetes cluster.
    Mode(mode::Options),
    /// Make a receiver slow or faulty on purpose, or show what is set
    ///
    /// As in `duet faults delay=200ms errorPercent=5 --for 30s`, and `duet faults off`. A service obeys only if it was started with
    /// --allow-faults, as those of `duet up` are; in a cluster, if the chart's faults.allowed says so.
    Faults(faults::Options),
    /// List, show, try again or give up what a receiver could not apply
    ///
    /// An event that can't be applied is parked and tried again; its last attempt makes it a dead letter, which is kept until it is
    /// redriven or discarded. Nothing waits behind it.
    DeadLetters(dead_letters::Options),
    /// Show what each service says of the channel, and what is down
    ///
    /// In a Kubernetes cluster also what the operator observed, and each pod. Exits with 3 unless all is ready; with 9 if all is
    /// and something is degraded, with 5 if the newest Channel is not in force.
    Status(status::Options),
    /// Prove that what was accepted is stored at its receivers, each once, or name what is not
    ///
    /// It compares both ledgers, recomputes what each store keeps of itself, and compares both stores row by row; traffic may run. On
    /// a laptop the services may be stopped. Exits with 0 only if it balances, with 8 if something differs, with 10 if it can't tell.
    Audit(audit::Options),
    /// Make the receivers hold what Reaction's store holds, after a store was restored or lost
    ///
    /// Without --yes it only shows what that would come to. With it every row is announced anew, which notifies nobody, and what the
    /// receivers hold beyond that is swept away, while traffic goes on. One that is under way is followed, and not begun anew.
    Resync(resync::Options),
    /// Show one trace as a tree
    ///
    /// From the Jaeger of `duet up`, or of the release in a Kubernetes cluster; no port needs to be forwarded for it. What is
    /// missing is told, and where Jaeger shows the same.
    Trace(trace::Options),
    /// Tell the life of a reaction in sentences: what happened to it, when, and which setting decided that
    ///
    /// From the stores alone, so also long after, and of what was not sampled. Where the pair is on this machine, also while it does
    /// not run. Exits with 3 if a service could not be asked.
    Why(why::Options),
    /// Make traffic at a fixed rate, and tell whether all of it arrived
    ///
    /// It writes posts of its own and reacts to them, until the time is over or Ctrl-C. Then it waits until Notification shows what
    /// was accepted, and compares. Exits with 8 if a reaction is missing or doubled, with 1 if requests failed.
    Load(load::Options),
    /// Do the same to this pair in both modes, and tell what each costs and which to use
    ///
    /// It really hangs Notification, stops the broker, and so on, under a load of its own; whoever else uses the pair notices. All of
    /// it is put back at the end, and when it is interrupted. A run that was killed is put right by `duet up`, or by --put-back.
    Compare(compare::Options),
    /// Measure the pair here
    Bench(bench::Options),
    /// The web server that the pair is compared with
    #[command(hide = true)]
    BenchBaseline(baseline::Options),
    /// Run a program that ends when the process that started it does
    #[command(hide = true)]
    Tether(tether::Options),
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> Result<(), Failure> {
    match Cli::parse().verb {
        Verb::Up(options) => up::run(options),
        Verb::Serve(options) => serve::run(options),
        Verb::Mode(options) => mode::run(options),
        Verb::Faults(options) => faults::run(options),
        Verb::DeadLetters(options) => dead_letters::run(options),
        Verb::Status(options) => status::run(options),
        Verb::Audit(options) => audit::run(options),
        Verb::Resync(options) => resync::run(options),
        Verb::Trace(options) => trace::run(options),
        Verb::Why(options) => why::run(options),
        Verb::Load(options) => load::run(options),
        Verb::Compare(options) => compare::run(options),
        Verb::Bench(options) => bench::run(options),
        Verb::BenchBaseline(options) => baseline::run(&options),
        Verb::Tether(options) => tether::run(options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_its_flag() {
        for (flag, good) in [
            ("--otlp", "http://127.0.0.1:4317"),
            ("--nats", "nats://127.0.0.1:4222"),
        ] {
            let parsed = |address| Cli::try_parse_from(["duet", "up", flag, address]);
            assert!(parsed(good).is_ok(), "{good}");
            for bad in ["bogus", "ftp://127.0.0.1", "127.0.0.1:4222", ""] {
                let told = parsed(bad).unwrap_err().to_string();
                assert!(told.contains(flag), "{told}");
            }
        }
    }

    #[test]
    fn a_protocol_goes_with_a_collector_and_is_one_of_two() {
        let parsed = |more: &[&str]| Cli::try_parse_from([&["duet", "up"], more].concat());
        let otlp = ["--otlp", "http://127.0.0.1:4318"];
        let protocol = ["--otlp-protocol", "http/protobuf"];
        assert!(parsed(&[otlp, protocol].concat()).is_ok());
        assert!(parsed(&protocol).is_err());
        let told = parsed(&[otlp, ["--otlp-protocol", "http/json"]].concat());
        assert!(
            told.unwrap_err()
                .to_string()
                .contains("grpc or http/protobuf")
        );
    }

    #[test]
    fn every_verb_of_the_pair_takes_a_data_directory() {
        for verb in [
            "duet up --data-dir d",
            "duet serve reaction --data-dir d",
            "duet serve notification --data-dir d",
            "duet mode --data-dir d --json",
            "duet status --data-dir d --json",
            "duet faults delay=200ms errorPercent=5 --for 30s --receiver r --data-dir d --json",
            "duet faults off --data-dir d",
            "duet dead-letters list --state dead --older-than 10m --all --receiver r --data-dir d --json",
            "duet dead-letters show 000000000000feed.0001.0000.000000000000002a.0000000000000007 --data-dir d --json",
            "duet dead-letters redrive --cause 00000000000000ab --rate 5 --data-dir d --json",
            "duet dead-letters discard --post walk --yes --data-dir d --json",
            "duet resync --yes --sweep-most --wait 5 --data-dir d --json",
            "duet resync --preview --data-dir d",
            "duet trace --last --data-dir d --json",
            "duet why post user --data-dir d --json",
            "duet load --rate 5 --for 5m --data-dir d --json",
            "duet compare --quick --data-dir d --out o --json --only hung --only slow",
            "duet bench throughput --data-dir d --json",
            "duet bench latency --rate 10 --data-dir d --json",
            "duet bench switch --switches 3 --every 2 --data-dir d --json",
            "duet bench surge --times 5 --data-dir d --json",
            "duet bench outage --away 5 --data-dir d --json",
            "duet bench volume --rows 10 --few 1 --data-dir d --json",
            "duet bench memory --duration 1 --data-dir d --json",
        ] {
            Cli::try_parse_from(verb.split(' ')).unwrap_or_else(|error| panic!("{verb}: {error}"));
        }
    }

    #[test]
    fn the_pair_is_in_one_place() {
        for verb in [
            "mode async",
            "faults off",
            "status",
            "dead-letters list",
            "dead-letters redrive --dry-run",
            "resync",
            "trace --last",
            "why post user",
            "load",
            "compare",
        ] {
            let parsed = |more: &str| Cli::try_parse_from(format!("duet {verb} {more}").split(' '));
            parsed("--context kind-duet -n duet --release duet")
                .unwrap_or_else(|error| panic!("{verb}: {error}"));
            assert!(parsed("--namespace duet --data-dir d").is_err(), "{verb}");
        }
        let both = "duet load --reaction http://r --notification http://n --namespace duet";
        assert!(Cli::try_parse_from(both.split(' ')).is_err());
    }
}
