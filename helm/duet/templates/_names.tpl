{{/* Names, labels and images. A template that takes more than the root takes a list: (list $ "component"). */}}

{{- define "duet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* The programs that the Channel is to, as words. */}}
{{- define "duet.receivers" -}}
notification{{ if .Values.trending.enabled }} trending{{ end }}
{{- end }}

{{/* All that the Channel is between: as words, too. */}}
{{- define "duet.services" -}}
reaction {{ include "duet.receivers" . }}
{{- end }}

{{/* In front of every name. 63 less the longest that follows, "-remove-channels". */}}
{{- define "duet.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Release.Name -}}
{{- if not (contains $name .Release.Name) }}{{ $full = printf "%s-%s" .Release.Name $name }}{{ end -}}
{{- default $full .Values.fullnameOverride | trunc 47 | trimSuffix "-" -}}
{{- end }}

{{- define "duet.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "duet.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "duet.labels" -}}
{{- $root := index . 0 -}}
{{ include "duet.selector" . }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "duet.metadata" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
name: {{ include "duet.fullname" $root }}-{{ $component }}
namespace: {{ $root.Release.Namespace }}
labels: {{- include "duet.labels" . | nindent 2 }}
{{- end }}

{{- define "duet.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* Where things are; empty where there is nothing. */}}
{{- define "duet.natsUrl" -}}
{{- if and .Values.nats.enabled .Values.nats.url }}
{{- fail "nats.url names a server of your own: set nats.enabled to false with it" }}
{{- end -}}
{{- if .Values.nats.enabled }}nats://{{ include "duet.fullname" . }}-nats:4222{{ else }}{{ .Values.nats.url }}{{ end -}}
{{- end }}

{{- define "duet.natsSecret" -}}
{{- if .Values.nats.existingSecret }}{{ .Values.nats.existingSecret }}
{{- else if .Values.nats.enabled }}{{ include "duet.fullname" . }}-nats{{ end -}}
{{- end }}

{{/* The bundled Jaeger's. */}}
{{- define "duet.otlpPort" -}}
{{- if eq .Values.otlp.protocol "grpc" }}4317{{ else }}4318{{ end -}}
{{- end }}

{{- define "duet.otlpEndpoint" -}}
{{- if and (or .Values.otlp.metrics .Values.otlp.logs) (not .Values.otlp.endpoint) }}
{{- fail "otlp.metrics and otlp.logs need otlp.endpoint: the bundled Jaeger takes traces only" }}
{{- end }}
{{- if .Values.otlp.endpoint }}{{ .Values.otlp.endpoint }}
{{- else if .Values.jaeger.enabled }}http://{{ include "duet.fullname" . }}-jaeger:{{ include "duet.otlpPort" . }}{{ end -}}
{{- end }}

{{/* One release a namespace: each operator looks after every Channel of its namespace, and uninstalling deletes them all. */}}
{{- define "duet.alone" -}}
{{- range (lookup "apps/v1" "Deployment" .Release.Namespace "").items }}
{{- $labels := default (dict) .metadata.labels -}}
{{- $other := get $labels "app.kubernetes.io/instance" -}}
{{- if and (hasPrefix (printf "%s-" $.Chart.Name) (get $labels "helm.sh/chart")) (eq (get $labels "app.kubernetes.io/component") "operator") (ne $other $.Release.Name) }}
{{- fail (printf "the release %s is in the namespace %s already, and its operator looks after every Channel there: choose another namespace" $other $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- end }}
