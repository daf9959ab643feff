#!/bin/sh
# Duet in a cluster of its own on this machine: sh deploy/local.sh kind | minikube
#
# Says what is missing, makes the cluster `duet` unless it is there, builds the image and loads it, installs the chart, and waits until
# the Channel is in force. Run again, it brings the cluster to the code as it is now.
set -eu
cd "$(dirname "$0")/.."

kind=${1:-}
image=duet:0.1.0
release=duet
namespace=duet

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

case $kind in
    kind) context=kind-duet; home=https://kind.sigs.k8s.io/docs/user/quick-start/#installation ;;
    minikube) context=duet; home=https://minikube.sigs.k8s.io/docs/start/ ;;
    *) die "usage: sh deploy/local.sh kind | minikube" ;;
esac

# All that is missing, at once.
preflight() {
    missing=
    need() {
        command -v "$1" >/dev/null 2>&1 || missing="$missing
  $1, which $2: see $3"
    }
    need docker "builds the image and runs the node" https://docs.docker.com/get-started/get-docker/
    need "$kind" "makes the cluster" "$home"
    need kubectl "talks to it" https://kubernetes.io/docs/tasks/tools/
    need helm "installs the chart (3.19 or later, or 4)" https://helm.sh/docs/intro/install/
    if command -v docker >/dev/null 2>&1 && ! docker info >/dev/null 2>&1; then
        missing="$missing
  a Docker that answers: \`docker info\` fails. Start it (Docker Desktop, or: sudo systemctl start docker), and be in the group docker"
    fi
    [ -z "$missing" ] || die "make $kind needs, and this machine lacks:$missing"
}

cluster() {
    case $kind in
        kind)
            kind get clusters 2>/dev/null | grep -qx duet || kind create cluster --config deploy/kind.yaml --wait 2m
            kind export kubeconfig --name duet ;;
        # Does nothing to a cluster that runs.
        minikube)
            minikube start --profile duet --driver docker --cpus 2 --memory 2200m ;;
    esac
}

load() {
    case $kind in
        kind) kind load docker-image "$image" --name duet ;;
        minikube) minikube image load "$image" --profile duet ;;
    esac
}

preflight

say "The cluster"
cluster

say "The image: it takes minutes the first time"
# Docker's attestations make an index of the image, which `kind load` can't read where Docker keeps images in containerd.
BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --file deploy/Dockerfile --tag "$image" .
load
# The tag stays the same, so this is what restarts the pods of another image, and only then.
built=$(docker image inspect --format '{{.Id}}' "$image")

say "The chart: the node pulls NATS and Jaeger"
set -- --kube-context "$context" --namespace "$namespace"
for program in reaction notification operator; do
    set -- "$@" --set-string "$program.podAnnotations.duet\.dev/image=$built"
done
helm upgrade --install "$release" helm/duet --create-namespace --reset-then-reuse-values --wait --timeout 5m "$@" || {
    kubectl --context "$context" --namespace "$namespace" get pods >&2
    kubectl --context "$context" --namespace "$namespace" get events --field-selector type=Warning --sort-by .lastTimestamp | tail -n 20 >&2
    die "The chart did not come up: above are its pods, and the latest warnings"
}

say "The Channel"
kubectl --context "$context" --namespace "$namespace" wait --for=condition=Ready channel/reactions --timeout 2m
kubectl --context "$context" --namespace "$namespace" get channels

cat <<EOF

It runs; \`kubectl\` points to it (context $context). What to do is above, under NOTES; these print it again, and end it:

  helm --namespace $namespace get notes $release
  $([ "$kind" = kind ] && echo "kind delete cluster --name duet" || echo "minikube delete --profile duet")
EOF
