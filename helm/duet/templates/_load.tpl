{{/* `duet load` against this release, as a container: (list root arguments) */}}
{{- define "duet.load" -}}
{{- $root := first . -}}
{{- $fullname := include "duet.fullname" $root -}}
name: load
{{ include "duet.image" $root }}
command: [/usr/local/bin/duet, load]
args:
  - --reaction=http://{{ $fullname }}-reaction:8080
  - --notification=http://{{ $fullname }}-notification:8080
  {{- range last . }}
  - {{ . }}
  {{- end }}
resources: {{- toYaml $root.Values.demo.resources | nindent 2 }}
{{ include "duet.containerSecurity" $root }}
{{- end }}
