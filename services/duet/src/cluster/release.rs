//! Which release is meant.

use super::pods::Component;
use crate::failure::{Failure, Kind};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use std::collections::BTreeMap;

/// What the chart's objects are known by.
pub(super) const LABEL: &str = "app.kubernetes.io/name=duet";
const INSTANCE: &str = "app.kubernetes.io/instance";
const COMPONENT: &str = "app.kubernetes.io/component";

/// One installation of the chart, by the names of its Services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    pub(super) name: String,
    reaction: String,
    notification: String,
    /// None where it is not enabled.
    pub(super) trending: Option<String>,
    /// None where the broker is somebody else's.
    nats: Option<String>,
    /// None where traces go elsewhere.
    pub(super) jaeger: Option<String>,
}

impl Release {
    /// The Service of a component; where there is none, the component's name.
    pub(super) fn service(&self, component: Component) -> &str {
        match component {
            Component::Reaction => &self.reaction,
            Component::Notification => &self.notification,
            Component::Trending => self.trending.as_deref().unwrap_or(component.label()),
            Component::Nats => self.nats.as_deref().unwrap_or(component.label()),
            Component::Jaeger => self.jaeger.as_deref().unwrap_or(component.label()),
        }
    }

    /// The name that the chart gives a part.
    pub(super) fn part(&self, name: &str) -> String {
        let prefix = self.reaction.strip_suffix("reaction");
        format!("{}{name}", prefix.unwrap_or("duet-"))
    }

    /// The ConfigMap that the first Channel is made from.
    pub(super) fn first_channel(&self) -> String {
        self.part("channel")
    }

    /// Selects the pods of a component.
    pub(super) fn selector(&self, component: Component) -> String {
        format!(
            "{LABEL},{INSTANCE}={},{COMPONENT}={}",
            self.name,
            component.label()
        )
    }
}

/// Why none was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotChosen {
    /// There is none at all.
    None,
    /// None is called so; these are there.
    NotThat(String, Vec<String>),
    /// One of these must be named.
    Several(Vec<String>),
}

/// The releases whose Services these are: those with both sides of the pair.
pub(super) fn releases(services: &[Service]) -> Vec<Release> {
    let mut parts: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for service in services {
        let labels = service.labels();
        if let (Some(instance), Some(component)) = (labels.get(INSTANCE), labels.get(COMPONENT)) {
            parts
                .entry(instance)
                .or_default()
                .insert(component, service.name_any());
        }
    }
    let whole = parts.into_iter().filter_map(|(name, mut parts)| {
        let mut part = |component: Component| parts.remove(component.label());
        Some(Release {
            name: name.to_owned(),
            reaction: part(Component::Reaction)?,
            notification: part(Component::Notification)?,
            trending: part(Component::Trending),
            nats: part(Component::Nats),
            jaeger: part(Component::Jaeger),
        })
    });
    whole.collect()
}

/// The namespaces that hold a release, of those that these Services are in.
pub(super) fn namespaces(services: Vec<Service>) -> Vec<String> {
    let mut each: BTreeMap<String, Vec<Service>> = BTreeMap::new();
    for service in services {
        let namespace = service.namespace().unwrap_or_default();
        each.entry(namespace).or_default().push(service);
    }
    let holding = each.into_iter().filter(|(_, it)| !releases(it).is_empty());
    holding.map(|(namespace, _)| namespace).collect()
}

/// The one that is named, or the only one.
pub(super) fn choose(
    mut releases: Vec<Release>,
    wanted: Option<&str>,
) -> Result<Release, NotChosen> {
    let names = || releases.iter().map(|it| it.name.clone()).collect();
    match (wanted, releases.len()) {
        (_, 0) => Err(NotChosen::None),
        (None, 1) => Ok(releases.remove(0)),
        (None, _) => Err(NotChosen::Several(names())),
        (Some(wanted), _) => match releases.iter().position(|it| it.name == wanted) {
            Some(at) => Ok(releases.remove(at)),
            None => Err(NotChosen::NotThat(wanted.to_owned(), names())),
        },
    }
}

impl NotChosen {
    /// `elsewhere` are namespaces that do hold a release.
    pub(super) fn failure(self, namespace: &str, elsewhere: &[String]) -> Failure {
        match self {
            Self::None => {
                let what = format!("no release of Duet is in the namespace {namespace}");
                let hint = match elsewhere {
                    [] => "Install it (`make kind`, or `helm install`), or say where it is with --namespace and --context.".to_owned(),
                    [one] => format!("There is one in the namespace {one}: name it with --namespace {one}."),
                    several => format!("Name another with --namespace; there are some in: {}.", several.join(", ")),
                };
                Failure::new(Kind::NotRunning, what).hint(hint)
            }
            Self::NotThat(wanted, names) => {
                let what = format!("no release {wanted} of Duet is in the namespace {namespace}");
                Failure::new(Kind::NotRunning, what)
                    .hint(format!("There are: {}.", names.join(", ")))
            }
            Self::Several(names) => {
                let what = format!(
                    "several releases of Duet are in the namespace {namespace}: {}",
                    names.join(", ")
                );
                Failure::new(Kind::Failed, what).hint("Name one with --release.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Service for each `release/component`.
    fn services(of: &[&str]) -> Vec<Service> {
        let service = |of: &&str| {
            let (instance, component) = of.split_once('/').unwrap();
            let mut service = Service::default();
            service.metadata.name = Some(format!("{instance}-{component}"));
            service
                .labels_mut()
                .insert(INSTANCE.to_owned(), instance.to_owned());
            service
                .labels_mut()
                .insert(COMPONENT.to_owned(), component.to_owned());
            service
        };
        of.iter().map(service).collect()
    }

    #[test]
    fn the_only_release_is_meant_and_of_several_the_named_one() {
        let one = [
            "duet/reaction",
            "duet/notification",
            "duet/nats",
            "duet/jaeger",
        ];
        let two = [
            "a/reaction",
            "a/notification",
            "b/notification",
            "b/reaction",
        ];
        let torn = ["duet/reaction"];
        let several = || vec!["a".to_owned(), "b".to_owned()];
        for (of, wanted, chosen) in [
            (&one[..], None, Ok("duet")),
            (&one, Some("duet"), Ok("duet")),
            (
                &one,
                Some("other"),
                Err(NotChosen::NotThat(
                    "other".to_owned(),
                    vec!["duet".to_owned()],
                )),
            ),
            (&two, None, Err(NotChosen::Several(several()))),
            (&two, Some("b"), Ok("b")),
            (&torn, None, Err(NotChosen::None)),
            (&[], Some("duet"), Err(NotChosen::None)),
        ] {
            let found = choose(releases(&services(of)), wanted).map(|it| it.name);
            assert_eq!(found, chosen.map(str::to_owned), "{of:?} {wanted:?}");
        }
    }

    #[test]
    fn a_release_knows_its_parts() {
        let all = services(&["duet/reaction", "duet/notification", "duet/jaeger"]);
        let release = choose(releases(&all), None).unwrap();
        assert_eq!(release.service(Component::Reaction), "duet-reaction");
        assert_eq!(release.jaeger.as_deref(), Some("duet-jaeger"));
        assert_eq!(release.first_channel(), "duet-channel");
        assert_eq!(
            release.selector(Component::Jaeger),
            "app.kubernetes.io/name=duet,app.kubernetes.io/instance=duet,app.kubernetes.io/component=jaeger"
        );
    }

    #[test]
    fn a_namespace_with_half_a_release_holds_none() {
        let within = |namespace: &str, of: &[&str]| {
            let mut services = services(of);
            for service in &mut services {
                service.metadata.namespace = Some(namespace.to_owned());
            }
            services
        };
        let mut all = within("torn", &["duet/reaction", "duet/nats"]);
        all.extend(within("whole", &["duet/reaction", "duet/notification"]));
        assert_eq!(namespaces(all), ["whole"]);
        assert_eq!(namespaces(Vec::new()), [""; 0]);
    }

    #[test]
    fn none_in_the_namespace_says_where_there_is_one() {
        let told = |elsewhere: &[&str]| {
            let elsewhere: Vec<_> = elsewhere.iter().map(|it| (*it).to_owned()).collect();
            NotChosen::None.failure("default", &elsewhere).to_string()
        };
        assert!(told(&["duet"]).contains("--namespace duet"));
        assert!(told(&["a", "b"]).contains("a, b"));
        assert!(told(&[]).contains("make kind"));
    }
}
