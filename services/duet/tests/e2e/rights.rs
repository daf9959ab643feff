//! Who may do what: each program what it needs, and nothing beside.

use crate::cli::{Helm, run};
use crate::release::{Release, WITHOUT_VOLUMES};

/// Whether the program's account may do this; `what` is as `kubectl auth can-i` takes it.
fn may(release: &Release, component: &str, what: &str) -> bool {
    let account = format!(
        "system:serviceaccount:{}:{}",
        release.namespace,
        release.part(component)
    );
    let of = [
        "auth",
        "can-i",
        "--as",
        &account,
        "--namespace",
        &release.namespace,
    ];
    run("kubectl", of.into_iter().chain(what.split(' '))).success
}

#[tokio::test]
#[ignore = "needs a cluster that has Duet's image: make e2e"]
async fn each_program_may_do_what_it_needs_and_nothing_beside() {
    let release = Release::install(Helm::Four, "duet", "rights", &WITHOUT_VOLUMES).await;
    let allowed = [
        ("reaction", "watch channels.duet.dev"),
        ("notification", "watch channels.duet.dev"),
        ("operator", "watch channels.duet.dev"),
        ("operator", "patch channels.duet.dev --subresource=status"),
        ("operator", "list endpointslices.discovery.k8s.io"),
        ("operator", "create events.events.k8s.io"),
        (
            "operator",
            "patch customresourcedefinitions.apiextensions.k8s.io/channels.duet.dev",
        ),
    ];
    for (component, what) in allowed {
        assert!(
            may(&release, component, what),
            "{component} must be allowed to {what}"
        );
    }
    let mut denied = vec![
        ("operator", "get secrets"),
        ("operator", "create pods"),
        ("operator", "create pods --subresource=exec"),
        ("operator", "delete persistentvolumeclaims"),
        ("operator", "patch deployments.apps"),
        (
            "operator",
            "create customresourcedefinitions.apiextensions.k8s.io",
        ),
        (
            "operator",
            "delete customresourcedefinitions.apiextensions.k8s.io/channels.duet.dev",
        ),
        (
            "operator",
            "patch customresourcedefinitions.apiextensions.k8s.io/others.example.com",
        ),
        (
            "operator",
            "create clusterrolebindings.rbac.authorization.k8s.io",
        ),
        ("operator", "list channels.duet.dev --all-namespaces"),
        ("operator", "patch configmaps/kube-root-ca.crt"),
    ];
    for component in ["reaction", "notification"] {
        denied.extend([
            (component, "patch channels.duet.dev"),
            (component, "delete channels.duet.dev"),
            (component, "patch channels.duet.dev --subresource=status"),
            (component, "list pods"),
            (component, "get secrets"),
            (component, "get configmaps"),
            (component, "list channels.duet.dev --all-namespaces"),
        ]);
    }
    for component in ["nats", "jaeger"] {
        denied.extend([
            (component, "get channels.duet.dev"),
            (component, "list pods"),
            (component, "get secrets"),
        ]);
    }
    for (component, what) in denied {
        assert!(
            !may(&release, component, what),
            "{component} must not be allowed to {what}"
        );
    }
}
