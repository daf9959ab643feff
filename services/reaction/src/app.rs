//! Reaction put together: store, sender and routes over what each service starts from.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web;
use duet_channel::sender::{MakeCall, Parts, SenderTask};
use duet_channel::settings::Side;
use duet_channel::store::sqlite::Options;
use duet_channel::transport::Call;
use duet_channel::transport::http::{HttpCall, HttpCallError};
use duet_protocol::rules::Rules;
use duet_protocol::settings::{Generation, Settings};
use duet_telemetry::Observer;
use duet_web::drain::Stop;
use duet_web::health::Version;
use duet_web::process::StartError;
use duet_web::routes::at;
use duet_web::service::{self, Service, sending};
use duet_web::tasks::Tasks;
use duet_web::why::WHY;

use crate::config::{self, Config};
use crate::service::Reactions;
use crate::{housekeeping, routes, status, store, why};

/// Why a process of the service ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// As any service's.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// A receiver's address is none.
    #[error(transparent)]
    Receiver(#[from] HttpCallError),
}

impl Error {
    /// Whether another process has one of its ports.
    pub fn is_port_taken(&self) -> bool {
        matches!(self, Error::Service(error) if error.is_port_taken())
    }
}

/// The port of each receiving Service in a cluster.
const INTERNAL_PORT: u16 = 8081;

const VERSION: Version = Version {
    service: "reaction",
    version: env!("CARGO_PKG_VERSION"),
};

/// Runs one process of the service until it is told to stop (SIGTERM or SIGINT; a second one aborts).
///
/// # Errors
/// If it can't start, or did not stop in order.
pub async fn run(config: Config) -> Result<(), Error> {
    let (stop, _hearing) =
        Stop::by_signals().map_err(|error| service::Error::Start(StartError::Io(error)))?;
    run_until(config, stop).await
}

/// Runs one process of the service until `stop` says so.
///
/// # Errors
/// If it can't start, or did not stop in order.
pub async fn run_until(config: Config, stop: Stop) -> Result<(), Error> {
    let service = Service::begin(VERSION, Side::From, &config.args, stop).await?;
    let (clock, end) = (service.clock, service.process.stop.end.clone());
    let calls = calls(&config, &service.observer)?;
    let known = service.states.borrow().settings().cloned();
    let receivers = known.as_ref().map(|settings| settings.to.clone());
    let options = Options::new(store::MIGRATIONS, clock, rand::random());
    let options = options.sending(receivers, generation(known.as_deref()));
    let options = options.audited(Some(&store::audit::Reactions));
    let (store, committed) = service.open_store(&config.args, options).await?;

    let own = Reactions::over(&store)
        .await
        .map_err(service::Error::Store)?;
    let parts = Parts {
        store: store.clone(),
        committed,
        service: Arc::new(own),
        settings: service.states.clone(),
        calls,
        broker: service.brokers().publishing(),
        observer: service.observer.clone(),
        timing: config.loss.timing(),
        rules: Arc::new(Rules::default()),
        clock,
    };
    let (sending, sender) = SenderTask::new(parts)
        .await
        .map_err(service::Error::Store)?;

    let mut tasks = Tasks::new(&service.process.stop);
    tasks.spawn("sender", sender.run(end.clone()));
    tasks.spawn(
        "housekeeping",
        housekeeping::run(store.clone(), end.clone()),
    );
    let instruments = service.process.telemetry.instruments();
    let measure = status::measure(sending.clone(), instruments, clock, end);
    tasks.spawn("measure", measure);

    let public = {
        let sending = web::Data::new(sending.clone());
        move |config: &mut web::ServiceConfig| {
            config.app_data(sending.clone());
            routes::configure(config);
        }
    };
    let internal = {
        let sending = web::Data::new(sending);
        let ledger = service::ledger::sender(store.clone(), &store::audit::Reactions);
        move |config: &mut web::ServiceConfig| {
            ledger(config);
            config.app_data(sending.clone());
            config
                .service(at("/v1/channel").get(status::channel))
                .service(at(WHY).get(why::why));
            sending::configure::<Reactions>(config);
        }
    };
    Ok(service.serve(public, internal, tasks, store).await?)
}

/// The generation that is in force; the zeroth if none ever was.
fn generation(settings: Option<&Settings>) -> Generation {
    settings.map_or(Generation::default(), |settings| settings.generation)
}

/// How to call each receiver: at the address that is given for it; in a cluster, else at its Service's.
fn calls(config: &Config, observer: &Observer) -> Result<MakeCall, HttpCallError> {
    let mut known = BTreeMap::<_, Arc<dyn Call>>::new();
    for config::Receiver { name, url } in &config.receivers {
        let call = HttpCall::new(url, observer.clone())?;
        known.insert(name.clone(), Arc::new(call));
    }
    let (in_cluster, observer) = (config.args.service.is_some(), observer.clone());
    Ok(Box::new(move |name| {
        if let Some(call) = known.get(name) {
            return Some(call.clone());
        }
        let url = in_cluster.then(|| format!("http://{name}:{INTERNAL_PORT}"))?;
        let call = HttpCall::new(&url, observer.clone());
        let call =
            call.inspect_err(|error| tracing::error!(receiver = %name, %error, "no address"));
        call.ok().map(|call| Arc::new(call) as Arc<dyn Call>)
    }))
}
