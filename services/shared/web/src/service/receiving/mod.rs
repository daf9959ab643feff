//! A service that a Channel is `to`, put together: what it takes in by HTTP and from the broker, and what it tells of the channel.
//! It brings its rows ([`ReceivingService`](duet_channel::receiver::ReceivingService)) and its public routes.

/// What is held here, for who would resync it.
mod inbox;
/// What senders deliver and ask, on the internal port.
mod intake;
/// What could not be applied, on the internal port.
mod letters;
/// What the process tells of the channel.
mod status;
/// What the store tells of a key.
mod why;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use duet_channel::receiver::{
    AllowedFaults, ConsumerParts, ConsumerTask, ParkedTask, Receiver, ReceivingService, SweepTask,
};
use duet_channel::settings::Side;
use duet_channel::store::Store;
use duet_channel::store::sqlite::audit::AuditRows;
use duet_channel::store::sqlite::{Options, SqliteStore};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::rules::Rules;

use super::{Args, Error, Service};
use crate::drain::Stop;
use crate::health::Version;
use crate::routes::at;
use crate::tasks::Tasks;
use crate::why::WHY;
use intake::Intake;
use status::FaultsCondition;

/// What the service's rows are read and written over.
pub type Connection = <SqliteStore as Store>::Connection;

/// A receiving service's process: its ports are taken, its store is open, and it takes nothing in yet.
pub struct Receiving {
    /// What each service starts from.
    pub service: Service,
    /// The service's store: its own tables beside the channel's.
    pub store: SqliteStore,
    /// What runs until the process stops. The service may add to it.
    pub tasks: Tasks,
    audit: Option<&'static dyn AuditRows>,
    name: ReceiverName,
    allow_faults: bool,
}

impl Receiving {
    /// Takes the ports and opens the store, whose own tables these migrations make (oldest first; one that was released never
    /// changes), and whose rows an audit reads so, if at all. The Channel's `to` has it by the name of its Service, or on a laptop by its own. Needs a Tokio runtime.
    ///
    /// # Errors
    /// If it can't start, in a sentence that says what to do.
    pub async fn begin(
        version: Version,
        migrations: &'static [&'static str],
        audit: Option<&'static dyn AuditRows>,
        args: &Args,
        stop: Stop,
    ) -> Result<Self, Error> {
        let service = Service::begin(version, Side::To, args, stop).await?;
        let options = Options {
            parked: args.parked_max,
            ..Options::new(migrations, service.clock, rand::random()).audited(audit)
        };
        let (store, _) = service.open_store(args, options).await?;
        Ok(Receiving {
            tasks: Tasks::new(&service.process.stop),
            audit,
            name: args.name_or(version.service),
            allow_faults: args.allow_faults,
            service,
            store,
        })
    }

    /// Takes events in, and serves these public routes, until told to stop; then stops in order. Handlers find the store in the app's
    /// data.
    ///
    /// # Errors
    /// If it ended other than by stopping in order.
    pub async fn serve<A: ReceivingService<Connection>>(
        self,
        own: A,
        routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Result<(), Error> {
        let Receiving {
            service,
            store,
            mut tasks,
            audit,
            name,
            allow_faults,
        } = self;
        let (end, observer) = (service.process.stop.end.clone(), service.observer.clone());
        let own = Arc::new(own);
        let condition = FaultsCondition {
            receiver: name.clone(),
            allowed: allow_faults,
            clock: service.clock,
        };
        let (brokers, own_name) = (service.brokers(), name.clone());
        let receiver = Receiver::new(
            store.clone(),
            own.clone(),
            name,
            Arc::new(Rules::default()),
            service.clock,
            service.states.clone(),
            observer.clone(),
        );
        if allow_faults {
            let (states, draining) = (
                service.states.clone(),
                service.process.stop.draining.clone(),
            );
            receiver.allow_faults(AllowedFaults::new(states, draining, rand::random()));
        }
        let consumer = ConsumerTask::new(ConsumerParts {
            receiver: receiver.clone(),
            broker: Arc::new(brokers),
            settings: service.states.clone(),
            observer: observer.clone(),
        });
        let standing = consumer.standing();
        tasks.spawn("consumer", consumer.run(end.clone()));
        tasks.spawn("parked", ParkedTask::new(receiver.clone()).run(end.clone()));
        tasks.spawn("sweep", SweepTask::new(receiver.clone()).run(end.clone()));
        let instruments = observer.instruments.clone();
        let measure = status::measure(own_name.clone(), store.clone(), instruments, end);
        tasks.spawn("measure", measure);

        let public = {
            let store = Data::new(store.clone());
            let arrivals = Data::new(receiver.arrivals());
            move |config: &mut ServiceConfig| {
                config.app_data(store.clone()).app_data(arrivals.clone());
                routes(config);
            }
        };
        let internal = {
            let letters = Data::new(receiver.dead_letters());
            let intake = Data::new(Intake {
                receiver,
                clock: service.clock,
                own,
                observer,
            });
            let states = Data::new(service.states.clone());
            let standing = Data::new(standing);
            let condition = Data::new(condition);
            let audit = audit.map(|rows| super::ledger::receiver(own_name, store.clone(), rows));
            let store = Data::new(store.clone());
            move |config: &mut ServiceConfig| {
                if let Some(audit) = &audit {
                    audit(config);
                }
                config
                    .app_data(intake.clone())
                    .app_data(letters.clone())
                    .app_data(states.clone())
                    .app_data(standing.clone())
                    .app_data(condition.clone())
                    .app_data(store.clone())
                    .service(at("/v1/channel").get(status::channel))
                    .service(at(WHY).get(why::why::<A>));
                intake::configure::<A>(config);
                letters::configure::<A>(config);
                inbox::configure::<A>(config);
            }
        };
        service.serve(public, internal, tasks, store).await
    }
}
