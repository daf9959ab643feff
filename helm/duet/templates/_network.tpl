{{/* Pods of this release, by component: (list root component…) */}}
{{- define "duet.pods" -}}
- podSelector:
    matchLabels: {{- include "duet.selector" (list (first .) "") | nindent 6 }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: [{{ rest . | join ", " }}]}
{{- end }}

{{- define "duet.egress.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{/* Which address is behind its Service, a policy can't know. */}}
{{- define "duet.egress.apiServer" -}}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}

{{/* The bundled server, or the port of one elsewhere. */}}
{{- define "duet.egress.nats" -}}
{{- if .Values.nats.enabled -}}
- to: {{- include "duet.pods" (list . "nats") | nindent 4 }}
  ports: [{port: 4222, protocol: TCP}]
{{- else if .Values.nats.url -}}
- ports: [{port: {{ include "duet.port" (list .Values.nats.url 4222) }}, protocol: TCP}]
{{- end }}
{{- end }}

{{- define "duet.egress.otlp" -}}
{{- if .Values.otlp.endpoint -}}
- ports: [{port: {{ include "duet.port" (list .Values.otlp.endpoint (ternary 443 80 (hasPrefix "https:" .Values.otlp.endpoint))) }}, protocol: TCP}]
{{- else if .Values.jaeger.enabled -}}
- to: {{- include "duet.pods" (list . "jaeger") | nindent 4 }}
  ports: [{port: {{ include "duet.otlpPort" . }}, protocol: TCP}]
{{- end }}
{{- end }}

{{/* (list url default) */}}
{{- define "duet.port" -}}
{{- get (urlParse (first .)) "host" | regexFind ":[0-9]+$" | trimPrefix ":" | default (last .) -}}
{{- end }}
