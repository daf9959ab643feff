{{/* What every pod of the chart has alike. */}}

{{/*
(list root component values checksums). No label that changes with the chart's version: a pod restarts if something of its own changed.
*/}}
{{- define "duet.podMetadata" -}}
{{- $values := index . 2 -}}
labels:
  {{- include "duet.selector" . | nindent 2 }}
  {{- with $values.podLabels }}{{ toYaml . | nindent 2 }}{{ end }}
{{- $annotations := merge (dict) (index . 3) (default (dict) $values.podAnnotations) }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* (list root values user): what is neither containers nor volumes. */}}
{{- define "duet.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
{{- $user := index . 2 -}}
# Variables such as DUET_NATS_PORT, for Services in the namespace, would be taken for settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  fsGroup: {{ $user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "duet.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/* Health of Duet's own programs, on the internal port. */}}
{{- define "duet.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: internal}
  periodSeconds: 1
  failureThreshold: 120
readinessProbe:
  httpGet: {path: /readyz, port: internal}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /livez, port: internal}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/* (list root program): where the program is, where its traces go, how it reaches NATS. */}}
{{- define "duet.env" -}}
{{- $root := index . 0 -}}
{{- $program := index . 1 -}}
- name: RUST_LOG
  value: {{ $root.Values.logLevel | quote }}
- name: DUET_INTERNAL_LISTEN
  value: 0.0.0.0:8081
- name: DUET_POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: DUET_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: DUET_NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- with include "duet.natsUrl" $root }}
- name: DUET_NATS_URL
  value: {{ . | quote }}
{{- end }}
{{- if include "duet.natsSecret" $root }}
- name: DUET_NATS_USER
  value: {{ index $root.Values.nats.users $program | quote }}
- name: DUET_NATS_PASSWORD_FILE
  value: /run/secrets/nats/password
{{- end }}
{{- with include "duet.otlpEndpoint" $root }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ $root.Values.otlp.protocol }}
{{- with $root.Values.otlp.headers.existingSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $root.Values.otlp.headers.key }}}}
{{- end }}
{{- if $root.Values.otlp.metrics }}
- name: OTEL_METRICS_EXPORTER
  value: prometheus,otlp
{{- end }}
{{- if $root.Values.otlp.logs }}
- name: OTEL_LOGS_EXPORTER
  value: otlp
{{- end }}
# A trace is there a second after its request, and `duet trace --last` waits twice that.
- name: OTEL_BSP_SCHEDULE_DELAY
  value: "1000"
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: service.instance.id=$(DUET_POD_NAME),k8s.pod.name=$(DUET_POD_NAME),k8s.namespace.name=$(DUET_NAMESPACE),k8s.node.name=$(DUET_NODE_NAME)
{{- with (index $root.Values $program).extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* (list root program): its own password, and no other's. A changed one is seen without a restart. */}}
{{- define "duet.natsPasswordVolume" -}}
{{- with include "duet.natsSecret" (index . 0) -}}
- name: nats-password
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ index $ 1 }}, path: password}]
{{- end }}
{{- end }}

{{- define "duet.natsPasswordMount" -}}
{{- if include "duet.natsSecret" . -}}
- {name: nats-password, mountPath: /run/secrets/nats, readOnly: true}
{{- end }}
{{- end }}

{{/* The memory limit less what is not Go's heap, so that the collector works before the kernel does. Takes resources. */}}
{{- define "duet.goMemLimit" -}}
{{- $limit := dig "limits" "memory" "" . | toString -}}
{{- $mebi := 0 -}}
{{- if hasSuffix "Mi" $limit }}{{ $mebi = trimSuffix "Mi" $limit | int }}
{{- else if hasSuffix "Gi" $limit }}{{ $mebi = mul 1024 (trimSuffix "Gi" $limit | int) }}{{ end -}}
{{- if gt (int $mebi) 0 -}}
- name: GOMEMLIMIT
  value: {{ div (mul $mebi 85) 100 }}MiB
{{- end }}
{{- end }}
