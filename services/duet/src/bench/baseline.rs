//! What everything is compared with: a bare actix-web server with one static route, in a process of its own.

use super::child::{Child, Program};
use crate::{
    failure::{Doing, Failure},
    process::Process,
};
use actix_web::{App, HttpServer, dev::Server, web};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::Path};

/// `duet bench-baseline`: serves until it is ended.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Threads that serve
    #[arg(long)]
    workers: usize,
}

/// What it prints once it listens.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    listen: SocketAddr,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    actix_web::rt::System::new()
        .block_on(async {
            let (listen, server) = server(options.workers)?;
            println!("{}", serde_json::to_string(&Told { listen })?);
            server.await
        })
        .doing(|| "serve the baseline".to_owned())
}

pub(super) fn server(workers: usize) -> std::io::Result<(SocketAddr, Server)> {
    let app = || App::new().route("/", web::get().to(async || "ok"));
    let bound = HttpServer::new(app).workers(workers).bind("127.0.0.1:0")?;
    let [listen] = bound.addrs()[..] else {
        return Err(std::io::Error::other("a server without an address"));
    };
    Ok((listen, bound.run()))
}

/// The process.
#[derive(Debug)]
pub(super) struct Baseline {
    pub(super) listen: SocketAddr,
    pub(super) child: Child,
}

impl Baseline {
    pub(super) async fn start(workers: usize, log: &Path) -> Result<Self, Failure> {
        let workers = workers.to_string();
        let program = Program::duet("the baseline").args(["bench-baseline", "--workers", &workers]);
        let mut child = Child::start(program, log)?;
        let Told { listen } = child.told().await?;
        Ok(Self { listen, child })
    }

    pub(super) fn process(&self) -> Result<Process, Failure> {
        let process = self.child.id().and_then(Process::with_id);
        process.ok_or_else(|| self.child.failure("has ended"))
    }
}
