{{/*
What each program may say and hear, as NATS has it: the subjects are those of services/shared/channel/src/transport/jetstream.
Everything that is not allowed is denied. (list root) → YAML {program: {publish: […], subscribe: […]}}
*/}}
{{- define "duet.natsRights" -}}
{{- $stream := .Values.channel.spec.async.natsJetStream.stream.name -}}
{{- $subject := .Values.channel.spec.async.natsJetStream.stream.subject -}}
reaction:
  publish:
    - {{ $subject }}.to.*
    - {{ $subject }}.hello.*.*.*
    - $JS.API.STREAM.INFO.{{ $stream }}
    - $JS.API.CONSUMER.INFO.{{ $stream }}.*
  subscribe:
    - {{ $subject }}.told.*.*.>
    - _INBOX.reaction.>
{{- range $program := include "duet.receivers" . | splitList " " }}
{{- $receiver := printf "%s-%s" (include "duet.fullname" $) $program }}
{{ $program }}:
  publish:
    - {{ $subject }}.told.{{ $receiver }}.*.>
    - $JS.API.STREAM.INFO.{{ $stream }}
    - $JS.API.CONSUMER.INFO.{{ $stream }}.{{ $receiver }}
    - $JS.API.CONSUMER.MSG.NEXT.{{ $stream }}.{{ $receiver }}
    - $JS.ACK.{{ $stream }}.{{ $receiver }}.>
  subscribe:
    # A subject and the queue group in it.
    - {{ $subject }}.hello.{{ $receiver }}.*.* {{ $receiver }}
    - _INBOX.{{ $program }}.>
{{- end }}
operator:
  publish:
    - $JS.API.STREAM.INFO.{{ $stream }}
    - $JS.API.STREAM.CREATE.{{ $stream }}
    - $JS.API.STREAM.UPDATE.{{ $stream }}
    - $JS.API.STREAM.DELETE.{{ $stream }}
    # Consumers of any name: a receiver may join later.
    - $JS.API.CONSUMER.INFO.{{ $stream }}.*
    - $JS.API.CONSUMER.CREATE.{{ $stream }}.*
    # One that somebody paused gives out again.
    - $JS.API.CONSUMER.PAUSE.{{ $stream }}.*
    # Of receivers that the Channel has no more, and what is to be made anew.
    - $JS.API.CONSUMER.NAMES.{{ $stream }}
    - $JS.API.CONSUMER.DELETE.{{ $stream }}.*
    - $JS.API.STREAM.PURGE.{{ $stream }}
  subscribe:
    - _INBOX.operator.>
{{- end }}

{{- define "duet.natsConfig" -}}
{{- $rights := include "duet.natsRights" . | fromYaml -}}
listen: "0.0.0.0:4222"
# Health; the chart's Service does not have it.
http: "0.0.0.0:8222"
server_name: {{ include "duet.fullname" . }}-nats
max_connections: 64
max_payload: 1MB

jetstream {
  store_dir: "/data"
  max_file_store: {{ .Values.nats.maxFileStore }}
  max_memory_store: {{ .Values.nats.maxMemoryStore }}
  sync_interval: {{ .Values.nats.syncInterval | quote }}
}

# Passwords come from the environment, and that from a Secret.
authorization {
  users = [
    {{- range $program := append (include "duet.services" . | splitList " ") "operator" }}
    {
      user: {{ index $.Values.nats.users $program | quote }}
      password: $PASSWORD_{{ upper $program }}
      permissions {
        {{- range $verb := list "publish" "subscribe" }}
        {{ $verb }} {
          allow = [
            {{- range index $rights $program $verb }}
            {{ . | quote }}
            {{- end }}
          ]
        }
        {{- end }}
      }
    }
    {{- end }}
  ]
}
{{- end }}
