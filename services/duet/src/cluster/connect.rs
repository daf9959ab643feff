//! The API server, as the kubeconfig says.

use super::{
    forward::Forwards,
    pods::{self, Component},
    problem::{Problem, asking},
    release::{self, Release},
    target::Target,
};
use crate::{
    failure::{Doing, Failure},
    place::{JaegerAt, Pair, Participant},
};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::time::Duration;

/// How long connecting to the API server may take.
const CONNECTED: Duration = Duration::from_secs(5);
/// Services of one chart in one namespace are fewer than this.
const SERVICES: u32 = 500;
/// The chart has spans sent every second; what was traced last is surely in Jaeger after twice that.
const EXPORTED: Duration = Duration::from_secs(2);

/// Under this `--help` lists what only a cluster has.
const HEADING: &str = "In a Kubernetes cluster (any of these says that the pair is there)";

/// Which cluster, and what in it. Any of these says that the pair is in a cluster.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "cluster")]
pub(crate) struct Options {
    /// The kubeconfig's context [default: the current one]
    #[arg(long, value_name = "NAME", conflicts_with = "path", help_heading = HEADING)]
    context: Option<String>,
    /// The namespace [default: the context's]
    #[arg(long, short, value_name = "NAME", conflicts_with = "path", help_heading = HEADING)]
    namespace: Option<String>,
    /// The Helm release [default: the only one in the namespace]
    #[arg(long, value_name = "NAME", conflicts_with = "path", help_heading = HEADING)]
    release: Option<String>,
}

impl Options {
    /// Whether a cluster is meant.
    pub(crate) fn are_given(&self) -> bool {
        self.context.is_some() || self.namespace.is_some() || self.release.is_some()
    }

    /// As they are given.
    pub(crate) fn flags(&self) -> impl Iterator<Item = String> {
        let all = [
            ("--context", &self.context),
            ("--namespace", &self.namespace),
            ("--release", &self.release),
        ];
        let given = all
            .into_iter()
            .filter_map(|(flag, value)| Some([flag.to_owned(), value.clone()?]));
        given.flatten()
    }
}

/// A release in a cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) release: Release,
    /// As kubectl is told it.
    context: Option<String>,
}

impl Cluster {
    /// Connects to the API server and finds the release.
    pub(crate) async fn connect(options: &Options) -> Result<Self, Failure> {
        let config = config(options).await?;
        let server = config.cluster_url.to_string();
        let namespace = options.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).doing(|| format!("connect to {server}"))?;
        let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
        let ours = ListParams::default().labels(release::LABEL).limit(SERVICES);
        let found = asking(&format!("list Services at {server}"), services.list(&ours)).await?;
        let wanted = options.release.as_deref();
        match release::choose(release::releases(&found.items), wanted) {
            Ok(release) => Ok(Self {
                client,
                namespace,
                release,
                context: options.context.clone(),
            }),
            Err(not_chosen) => {
                let elsewhere = elsewhere(&client, &ours).await;
                Err(not_chosen.failure(&namespace, &elsewhere))
            }
        }
    }

    /// The pair, as this process reaches it: each port is forwarded when it is first used.
    pub(crate) async fn pair(&self) -> Result<Pair, Failure> {
        let mut forwards = Forwards::default();
        let mut participants = Vec::new();
        let mut components = vec![Component::Reaction, Component::Notification];
        if let Some(service) = &self.release.trending
            && self.is_to(service).await
        {
            components.push(Component::Trending);
        }
        for component in components {
            let pods = asking("list pods", self.pods().list(&self.of(component))).await?;
            let mut told = pods::participants(&pods.items);
            if told.is_empty() {
                let service = self.release.service(component);
                told.push((service.to_owned(), Err("there is no pod".to_owned())));
            }
            for (name, reachable) in told {
                let internal = match reachable {
                    Ok(()) => Ok(forwards
                        .to(Target::pod(self, &name, pods::INTERNAL))
                        .await?),
                    Err(why) => Err(why),
                };
                participants.push(Participant {
                    name,
                    service: component.label().to_owned(),
                    internal,
                });
            }
        }
        let jaeger = match &self.release.jaeger {
            Some(service) => Some(JaegerAt {
                query: forwards
                    .to(Target::any(self, Component::Jaeger, pods::JAEGER))
                    .await?,
                page: format!("http://127.0.0.1:{}", pods::JAEGER),
                way: Some(self.port_forward(service, pods::JAEGER)),
                exported: EXPORTED,
            }),
            None => None,
        };
        Ok(Pair {
            reaction: forwards
                .to(Target::any(self, Component::Reaction, pods::PUBLIC))
                .await?,
            notification: forwards
                .to(Target::any(self, Component::Notification, pods::PUBLIC))
                .await?,
            participants,
            jaeger,
            way: Some(forwards),
        })
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The pods of one component.
    pub(super) fn of(&self, component: Component) -> ListParams {
        ListParams::default().labels(&self.release.selector(component))
    }

    /// The command with which a person reaches a service's port.
    fn port_forward(&self, service: &str, port: u16) -> String {
        format!("{} port-forward service/{service} {port}", self.kubectl())
    }

    /// The name that the chart gives a part of the release.
    pub(crate) fn part(&self, component: &str) -> String {
        self.release.part(component)
    }

    /// The context, as the kubeconfig was asked for it, and the namespace.
    pub(crate) fn named(&self) -> (String, String) {
        let context = self.context.clone();
        let context = context.unwrap_or_else(|| "the current one".to_owned());
        (context, self.namespace.clone())
    }

    /// How a person's commands begin that are about this cluster and namespace.
    pub(super) fn kubectl(&self) -> String {
        let context = self.context.as_ref();
        let context = context.map(|it| format!("--context {it} "));
        format!(
            "kubectl {}--namespace {}",
            context.unwrap_or_default(),
            self.namespace
        )
    }
}

/// From `KUBECONFIG` or `~/.kube/config`; inside a pod, without either, as the pod's ServiceAccount.
async fn config(options: &Options) -> Result<Config, Failure> {
    let named = KubeConfigOptions {
        context: options.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = match (&options.context, Kubeconfig::read()) {
        (None, Err(error)) => Config::incluster().map_err(|_| Problem::NoConfig(error.to_string())),
        (_, Err(error)) => Err(Problem::NoConfig(error.to_string())),
        (context, Ok(kubeconfig)) => match has_context(&kubeconfig, context.as_deref()) {
            Ok(()) => Config::from_custom_kubeconfig(kubeconfig, &named)
                .await
                .map_err(|error| Problem::NoConfig(error.to_string())),
            Err(problem) => Err(problem),
        },
    };
    let mut config = config.map_err(|problem| problem.failure("find a cluster"))?;
    config.connect_timeout = Some(CONNECTED);
    // Where it can't now, the reason is told rather than that no answer came.
    config.default_retry = false;
    Ok(config)
}

/// Whether the kubeconfig has the context that is named, or else the one that it says is the current one.
fn has_context(kubeconfig: &Kubeconfig, named: Option<&str>) -> Result<(), Problem> {
    let current = kubeconfig.current_context.as_deref();
    let wanted = named.or(current.filter(|it| !it.is_empty()));
    let there = || kubeconfig.contexts.iter().map(|it| &it.name);
    match wanted {
        Some(wanted) if there().any(|name| name == wanted) => Ok(()),
        _ => Err(Problem::NoContext {
            wanted: wanted.map(str::to_owned),
            there: there().cloned().collect(),
        }),
    }
}

/// The namespaces that do hold a release, if that may be asked.
async fn elsewhere(client: &Client, ours: &ListParams) -> Vec<String> {
    let everywhere: Api<Service> = Api::all(client.clone());
    let found = everywhere
        .list(ours)
        .await
        .map(|it| it.items)
        .unwrap_or_default();
    release::namespaces(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_is_not_there_is_told_with_those_that_are() {
        let kubeconfig = |current: &str, contexts: &[&str]| {
            let context =
                |name: &&str| format!("{{name: {name}, context: {{cluster: c, user: u}}}}");
            let contexts: Vec<_> = contexts.iter().map(context).collect();
            let contexts = contexts.join(", ");
            let config = format!("{{current-context: \"{current}\", contexts: [{contexts}]}}");
            serde_yaml_ng::from_str::<Kubeconfig>(&config).unwrap()
        };
        let two = &["kind-duet", "minikube"][..];
        for (current, there, named, told) in [
            ("minikube", two, None, None),
            ("", two, Some("kind-duet"), None),
            (
                "minikube",
                two,
                Some("kind"),
                Some(
                    "\
can't find a cluster: the kubeconfig has no context kind
It has: kind-duet, minikube. Name one with --context, or another file with KUBECONFIG.",
                ),
            ),
            (
                "gone",
                two,
                None,
                Some(
                    "\
can't find a cluster: the kubeconfig has no context gone
It has: kind-duet, minikube. Name one with --context, or another file with KUBECONFIG.",
                ),
            ),
            (
                "",
                two,
                None,
                Some(
                    "\
can't find a cluster: the kubeconfig has no current context
It has: kind-duet, minikube. Name one with --context, or another file with KUBECONFIG.",
                ),
            ),
            (
                "",
                &[],
                Some("kind"),
                Some(
                    "\
can't find a cluster: the kubeconfig has no context kind
It has none at all. `make kind` makes a cluster and its context; KUBECONFIG names another file.",
                ),
            ),
        ] {
            let found = has_context(&kubeconfig(current, there), named);
            let found = found.map_err(|it| it.failure("find a cluster").to_string());
            assert_eq!(found.err().as_deref(), told, "{current} {named:?}");
        }
    }
}
