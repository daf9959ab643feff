{{/*
Reaction, Notification and Trending are alike: a Deployment of one pod, the Service that the Channel names, a volume, a ServiceAccount.
(list root program environment)
*/}}
{{- define "duet.participant" -}}
{{- $root := index . 0 -}}
{{- $program := index . 1 -}}
{{- $values := index $root.Values $program -}}
{{- $fullname := include "duet.fullname" $root -}}
{{- $graceSeconds := sub $values.terminationGracePeriodSeconds 2 -}}
{{- if gt (int $values.replicas) 1 }}
{{- fail (printf "%s.replicas is %v, and can only be 1 (or 0): its store is SQLite on a volume, which one process opens" $program $values.replicas) }}
{{- end }}
{{- if lt (int $values.terminationGracePeriodSeconds) (add $values.drainDelaySeconds 10 | int) }}
{{- fail (printf "%s.terminationGracePeriodSeconds is %v, and must be at least 10 more than drainDelaySeconds (%v): requests under way need time to end" $program $values.terminationGracePeriodSeconds $values.drainDelaySeconds) }}
{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "duet.metadata" (list $root $program) | nindent 2 }}
spec:
  replicas: {{ $values.replicas }}
  # The volume and the store in it are one pod's: the old one has to be gone.
  strategy: {type: Recreate}
  selector:
    matchLabels: {{- include "duet.selector" (list $root $program) | nindent 6 }}
  template:
    metadata: {{- include "duet.podMetadata" (list $root $program $values (dict)) | nindent 6 }}
    spec:
      {{- include "duet.podSpec" (list $root $values 65532) | nindent 6 }}
      serviceAccountName: {{ $fullname }}-{{ $program }}
      # It reads its Channel.
      automountServiceAccountToken: true
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
      containers:
        - name: {{ $program }}
          {{- include "duet.image" $root | nindent 10 }}
          command: [/usr/local/bin/duet, serve, {{ $program }}]
          env:
            - name: DUET_LISTEN
              value: 0.0.0.0:8080
            - name: DUET_DATA_DIR
              value: /var/lib/duet
            - name: DUET_SERVICE
              value: {{ $fullname }}-{{ $program }}
            {{- with index . 2 }}{{ toYaml . | nindent 12 }}{{ end }}
            - name: DUET_ALLOW_FAULTS
              value: {{ $root.Values.faults.allowed | quote }}
            - name: DUET_DRAIN_DELAY
              value: {{ $values.drainDelaySeconds }}s
            - name: DUET_GRACE_PERIOD
              value: {{ $graceSeconds }}s
            {{- include "duet.env" (list $root $program) | nindent 12 }}
          ports:
            - {name: http, containerPort: 8080}
            - {name: internal, containerPort: 8081}
          {{- include "duet.probes" . | nindent 10 }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          {{- include "duet.containerSecurity" . | nindent 10 }}
          volumeMounts:
            - {name: data, mountPath: /var/lib/duet}
            # SQLite sorts in files when it must.
            - {name: tmp, mountPath: /tmp}
            {{- include "duet.natsPasswordMount" $root | nindent 12 }}
      volumes:
        - name: data
          {{- if $values.persistence.enabled }}
          persistentVolumeClaim:
            claimName: {{ default (printf "%s-%s" $fullname $program) $values.persistence.existingClaim }}
          {{- else }}
          emptyDir: {}
          {{- end }}
        - name: tmp
          emptyDir: {sizeLimit: 256Mi}
        {{- include "duet.natsPasswordVolume" (list $root $program) | nindent 8 }}
---
apiVersion: v1
kind: Service
metadata: {{- include "duet.metadata" (list $root $program) | nindent 2 }}
spec:
  selector: {{- include "duet.selector" (list $root $program) | nindent 4 }}
  ports:
    - {name: http, port: 8080, targetPort: http, appProtocol: http}
    - {name: internal, port: 8081, targetPort: internal, appProtocol: http}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{- include "duet.metadata" (list $root $program) | nindent 2 }}
automountServiceAccountToken: false
{{- if and $values.persistence.enabled (not $values.persistence.existingClaim) }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "duet.metadata" (list $root $program) | nindent 2 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes: [ReadWriteOnce]
  {{- with $values.persistence.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ $values.persistence.size }}
{{- end }}
{{- end }}
