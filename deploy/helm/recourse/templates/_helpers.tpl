{{- define "recourse.name" -}}
{{- if contains "recourse" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-recourse" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "recourse.selector" -}}
app.kubernetes.io/name: recourse
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "recourse.labels" -}}
{{ include "recourse.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "recourse.image" -}}
{{- $image := .Values.image }}
{{- $repository := required "image.repository: where the image was pushed to" $image.repository }}
{{- if $image.digest }}{{ $repository }}@{{ $image.digest }}
{{- else }}{{ $repository }}:{{ required "image.digest (or image.tag): which build runs" $image.tag }}{{ end }}
{{- end }}

{{- define "recourse.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "recourse.name" .) }}
{{- else }}{{ required "serviceAccount.name: which account, if the chart makes none" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{/* All settings of a process but its slot, which each pod has of its own. */}}
{{- define "recourse.env" -}}
- name: RECOURSE_KAFKA
  value: {{ required "kafka.bootstrap: the brokers, host:port,host:port" .Values.kafka.bootstrap | quote }}
{{- with .Values.kafka.options }}
- name: RECOURSE_KAFKA_OPTIONS
  value: {{ toJson . | quote }}
{{- end }}
- name: RECOURSE_REDIS
{{- if .Values.redis.existingSecret }}
  valueFrom:
    secretKeyRef: {name: {{ .Values.redis.existingSecret | quote }}, key: {{ .Values.redis.secretKey | quote }}}
{{- else }}
  value: {{ required "redis.url, or redis.existingSecret if it has a password" .Values.redis.url | quote }}
{{- end }}
- name: RECOURSE_GROUP
  value: {{ .Values.group | quote }}
- name: RECOURSE_TOPIC_PREFIX
  value: {{ .Values.topicPrefix | quote }}
- name: RECOURSE_METRICS_PORT
  value: {{ .Values.metrics.port | quote }}
{{- if .Values.rulebookConfigMap }}
- name: RECOURSE_RULEBOOK
  value: /etc/recourse/rulebook.yaml
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: RECOURSE_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "recourse.envFrom" -}}
{{- range .Values.settingsFromSecrets }}
- secretRef: {name: {{ . | quote }}}
{{- end }}
{{- end }}

{{- define "recourse.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "recourse.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* live: the loop moves. ready: partitions are held and caught up. Both answer during a restore. */}}
{{- define "recourse.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 2
  failureThreshold: {{ div (add .Values.workers.startupSeconds 1) 2 }}
livenessProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- define "recourse.mounts" -}}
{{- if or .Values.rulebookConfigMap .Values.secretFiles }}
volumeMounts:
  {{- if .Values.rulebookConfigMap }}
  - {name: rulebook, mountPath: /etc/recourse, readOnly: true}
  {{- end }}
  {{- if .Values.secretFiles }}
  - {name: secrets, mountPath: /run/secrets/recourse, readOnly: true}
  {{- end }}
{{- end }}
{{- end }}

{{- define "recourse.volumes" -}}
{{- if or .Values.rulebookConfigMap .Values.secretFiles }}
volumes:
  {{- if .Values.rulebookConfigMap }}
  - name: rulebook
    configMap: {name: {{ .Values.rulebookConfigMap | quote }}}
  {{- end }}
  {{- if .Values.secretFiles }}
  - name: secrets
    secret: {secretName: {{ .Values.secretFiles | quote }}, defaultMode: 0440}
  {{- end }}
{{- end }}
{{- end }}

{{/* A name of its own: the workers' service, policy and budget must not take the desk for a worker. */}}
{{- define "recourse.deskSelector" -}}
app.kubernetes.io/name: recourse-desk
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "recourse.deskLabels" -}}
{{ include "recourse.deskSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/component: desk
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "recourse.deskEnv" -}}
{{- $desk := .Values.desk -}}
- name: RECOURSE_DESK_KAFKA
  value: {{ required "kafka.bootstrap: the brokers, host:port,host:port" .Values.kafka.bootstrap | quote }}
- name: RECOURSE_DESK_TOPIC_PREFIX
  value: {{ .Values.topicPrefix | quote }}
{{- range $name := list "PARTITIONING" "REGISTRY" }}
{{- with get $.Values.settings $name }}
- name: RECOURSE_DESK_{{ $name }}
  value: {{ . | quote }}
{{- end }}
{{- end }}
- name: RECOURSE_DESK_HOST
  value: "0.0.0.0"
- name: RECOURSE_DESK_TEXTS
  value: /var/lib/recourse-desk/texts
- name: RECOURSE_DESK_IDENTITY
  value: {{ $desk.identity | quote }}
{{- if eq $desk.identity "oidc" }}
- name: RECOURSE_DESK_OIDC_ISSUER
  value: {{ required "desk.oidc.issuer: the provider's URL" $desk.oidc.issuer | quote }}
- name: RECOURSE_DESK_OIDC_CLIENT_ID
  value: {{ required "desk.oidc.clientId: the desk's id there" $desk.oidc.clientId | quote }}
{{- else }}
- name: RECOURSE_DESK_TRUSTED_PROXIES
  value: {{ required "desk.trustedProxies: addresses or networks of the proxy whose headers say who people are" $desk.trustedProxies | quote }}
{{- end }}
{{- if $desk.kafkaPropertiesSecret }}
- name: RECOURSE_DESK_KAFKA_PROPERTIES
  value: /run/secrets/recourse-desk/kafka.properties
{{- end }}
- name: RECOURSE_DESK_LOG_FORMAT
  value: json
{{- range $name, $value := $desk.settings }}
- name: RECOURSE_DESK_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
