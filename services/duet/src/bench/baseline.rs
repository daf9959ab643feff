//! What everything is compared with: two bare actix-web servers, each in a process of its own. One does nothing but answer; the
//! other does what any HTTP service must for the same request.

use super::child::{Child, Program};
use crate::{
    failure::{Doing, Failure},
    process::Process,
};
use actix_web::{App, HttpServer, dev::Server, web};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::Path, time::Duration};

/// How long one may take to stop.
const STOPPED: Duration = Duration::from_secs(10);

/// `duet bench-baseline`: serves until it is ended.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Threads that serve
    #[arg(long)]
    workers: usize,
    #[arg(long, value_enum)]
    serves: Serves,
}

/// What a baseline does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Serves {
    /// `GET /`, a constant
    Bare,
    /// The request that the pair is asked: its path and its JSON are parsed, and an answer in JSON of the same form is made
    SameRequest,
}

impl Serves {
    const fn flag(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::SameRequest => "same-request",
        }
    }
}

/// What it prints once it listens.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    listen: SocketAddr,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    actix_web::rt::System::new()
        .block_on(async {
            let (listen, server) = server(options.workers, options.serves)?;
            println!("{}", serde_json::to_string(&Told { listen })?);
            server.await
        })
        .doing(|| "serve the baseline".to_owned())
}

pub(super) fn server(workers: usize, serves: Serves) -> std::io::Result<(SocketAddr, Server)> {
    let app = move || match serves {
        Serves::Bare => App::new().route("/", web::get().to(async || "ok")),
        Serves::SameRequest => {
            App::new().route("/v1/posts/{post}/reactions/{user}", web::put().to(answer))
        }
    };
    let bound = HttpServer::new(app).workers(workers).bind("127.0.0.1:0")?;
    let [listen] = bound.addrs()[..] else {
        return Err(std::io::Error::other("a server without an address"));
    };
    Ok((listen, bound.run()))
}

#[derive(Deserialize)]
struct Asked {
    kind: duet_reaction::domain::Kind,
}

/// The same fields as Reaction's answer in `Sync`.
#[derive(Serialize)]
struct Answer {
    post: String,
    user: String,
    kind: duet_reaction::domain::Kind,
    delivery: Delivery,
}

#[derive(Serialize)]
struct Delivery {
    mode: &'static str,
    status: &'static str,
    outcome: &'static str,
    outcomes: Outcomes,
    attempts: u32,
    took_ms: f64,
}

#[derive(Serialize)]
struct Outcomes {
    notification: &'static str,
}

async fn answer(path: web::Path<(String, String)>, asked: web::Json<Asked>) -> web::Json<Answer> {
    let (post, user) = path.into_inner();
    web::Json(Answer {
        post,
        user,
        kind: asked.kind,
        delivery: Delivery {
            mode: "sync",
            status: "delivered",
            outcome: "notified",
            outcomes: Outcomes {
                notification: "notified",
            },
            attempts: 1,
            took_ms: 22.974,
        },
    })
}

/// The process.
#[derive(Debug)]
pub(super) struct Baseline {
    pub(super) listen: SocketAddr,
    child: Child,
}

impl Baseline {
    pub(super) async fn start(
        serves: Serves,
        workers: usize,
        home: &Path,
    ) -> Result<Self, Failure> {
        let (workers, serves) = (workers.to_string(), serves.flag());
        let args = ["bench-baseline", "--workers", &workers, "--serves", serves];
        let program = Program::duet("the baseline").args(args);
        let mut child = Child::start(program, &home.join(format!("baseline-{serves}.log")))?;
        let Told { listen } = child.told().await?;
        Ok(Self { listen, child })
    }

    pub(super) fn process(&self) -> Result<Process, Failure> {
        let process = self.child.id().and_then(Process::with_id);
        process.ok_or_else(|| self.child.failure("has ended"))
    }

    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.child.stop(STOPPED).await
    }
}
