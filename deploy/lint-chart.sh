#!/bin/sh
# The chart is sound: lint, every combination in helm/duet/ci renders, and what is wrong is refused with a reason.
# sh deploy/lint-chart.sh [--server]: with it, the API server of the current context is asked too (nothing is changed).
set -eu
cd "$(dirname "$0")/.."
chart=helm/duet
helm=${HELM:-helm}
failed=0

fail() { printf 'chart: %s\n' "$*" >&2; failed=1; }

lint() { # lint VALUES
    "$helm" lint --strict --quiet "$chart" --values "$1" || fail "lint with $1"
}

render() { "$helm" template duet "$chart" --kube-version 1.34.0 --namespace default "$@"; }

# refuses SENTENCE FLAG…: rendering fails, and says so.
refuses() {
    sentence=$1; shift
    if said=$(render "$@" 2>&1 >/dev/null); then
        fail "$* is not refused"
    elif ! printf %s "$said" | grep -qF -- "$sentence"; then
        fail "$* is refused with other words: $said"
    fi
}

for values in "$chart"/ci/*-values.yaml; do
    lint "$values"
    rendered=$(render --values "$values") || { fail "render with $values"; continue; }
    # A ServiceMonitor is a resource that a bare cluster does not know.
    case ${1:-}:$values in
        --server:*service-monitor*) ;;
        --server:*) printf '%s\n' "$rendered" | kubectl apply --dry-run=server --filename - >/dev/null || fail "the API server refuses $values" ;;
    esac
done

# What is promised of the defaults: within 1 GiB, the pods of hooks and tests included.
memory=$(render | awk '/limits:/ { limits = 1 } limits && sub(/.*memory: /, "") { sum += $1; limits = 0 } END { print sum }')
[ "$memory" -le 1024 ] || fail "the memory limits of the defaults are $memory MiB together"

refuses "reaction.replicas is 2, and can only be 1" --set reaction.replicas=2
refuses "notification.replicas is 3, and can only be 1" --set notification.replicas=3
refuses "must be at least 10 more than drainDelaySeconds" --set reaction.drainDelaySeconds=25
refuses "channel.spec.from is not to be set" --set channel.spec.from=other
refuses "set nats.enabled to false" --set nats.url=nats://elsewhere:4222
refuses "'/nats/url'" --set nats.enabled=false,nats.url=nats://user:password@elsewhere:4222
refuses "'/otlp/endpoint'" --set otlp.endpoint=http://user:password@elsewhere:4317
refuses "'/otlp/protocol'" --set otlp.protocol=http/json
refuses "the bundled Jaeger takes traces only" --set otlp.metrics=true
refuses "additional properties 'replica' not allowed" --set reaction.replica=1
refuses "additional properties 'enabled' not allowed" --set notification.enabled=false
refuses "'/channel/spec/async/natsJetStream/stream/maxBytes'" --set channel.spec.async.natsJetStream.stream.maxBytes=banana
refuses "'/channel/spec/mode'" --set channel.spec.mode=Sometimes
refuses "additional properties 'linger' not allowed" --set channel.spec.async.linger=5ms
refuses "'/channel/spec/async/natsJetStream/stream/subject'" --set 'channel.spec.async.natsJetStream.stream.subject=duet.*'

# Each receiver has the rights of its own consumer, and no other's.
rights=$(render --set trending.enabled=true --show-only templates/nats/config.yaml)
for receiver in notification trending; do
    times=$(printf %s "$rights" | grep -cF "CONSUMER.MSG.NEXT.REACTIONS.duet-$receiver\"" || true)
    [ "$times" = 1 ] || fail "$times users may consume for duet-$receiver"
done
printf %s "$(render)" | grep -q trending && fail "trending is rendered unasked"

[ "$failed" = 0 ] && echo "The chart is sound ($("$helm" version --short))"
exit "$failed"
