{{/* The document, with this release's Services at its ends. */}}
{{- define "duet.channel" -}}
{{- $fullname := include "duet.fullname" . -}}
{{- $to := list -}}
{{- range $receiver := include "duet.receivers" . | splitList " " }}
{{- $to = append $to (dict "name" (printf "%s-%s" $fullname $receiver)) }}
{{- end }}
{{- $ends := dict "from" (printf "%s-reaction" $fullname) "to" $to -}}
{{- range $end := list "from" "to" }}
{{- if hasKey $.Values.channel.spec $end }}
{{- fail (printf "channel.spec.%s is not to be set: the Channel is between this release's own Services" $end) }}
{{- end }}
{{- end -}}
apiVersion: duet.dev/v1alpha1
kind: Channel
metadata:
  name: {{ .Values.channel.name }}
  labels:
    app.kubernetes.io/name: {{ include "duet.name" . }}
    app.kubernetes.io/instance: {{ .Release.Name }}
spec:
  {{- toYaml (merge $ends .Values.channel.spec) | nindent 2 }}
{{- end }}
