{{- define "sg.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "sg.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "sg.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sg.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels by which pods of a part are found. Call: (list . "outer") */}}
{{- define "sg.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ include "sg.name" $ }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "sg.labels" -}}
{{- $ := index . 0 -}}
{{ include "sg.selector" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version }}
{{- end -}}

{{- define "sg.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{- define "sg.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "sg.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Copies files that only their owner may read: a volume of a Secret has them readable for a group, which the program refuses. Call: (list . "commands of a shell") */}}
{{- define "sg.privateFiles" -}}
{{- $ := index . 0 -}}
- name: private-files
  image: {{ include "sg.image" $ }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  command: [sh, -ec, {{ index . 1 | quote }}]
  securityContext:
    {{- include "sg.security" $ | nindent 4 }}
  resources:
    requests: { cpu: 10m, memory: 16Mi }
    limits: { memory: 64Mi }
  volumeMounts:
    - { name: private, mountPath: /run/private }
{{- end -}}

{{- define "sg.linkScheme" -}}
{{- ternary "wss" "ws" (ne .Values.outer.link.tlsSecret "") -}}
{{- end -}}

{{/* Faults that a schema cannot say. */}}
{{- define "sg.check" -}}
{{- $v := .Values -}}
{{- if and $v.outer.enabled (or (gt (int $v.outer.replicas) 1) $v.outer.autoscaling.enabled) (not $v.cluster.enabled) -}}
{{- fail "outer.replicas above 1, and outer.autoscaling, need cluster.enabled: other outer layers would not know of the inner layers" -}}
{{- end -}}
{{- if and $v.cluster.enabled (eq $v.cluster.existingSecret "") -}}
{{- fail "cluster.existingSecret is missing: a Secret with the keys url and node.key" -}}
{{- end -}}
{{- if and $v.cluster.enabled (eq $v.cluster.scheme "wss") (eq $v.outer.link.tlsSecret "") -}}
{{- fail "cluster.scheme wss needs outer.link.tlsSecret; ws goes without TLS through the network of the cluster" -}}
{{- end -}}
{{- if and $v.cluster.enabled (gt (int $v.outer.workers) 1) -}}
{{- fail "outer.workers and cluster.enabled do not go together; have more replicas" -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (eq $v.operators.existingSecret "") -}}
{{- fail "serviceMonitor.enabled needs operators.existingSecret: the port for operators has a password" -}}
{{- end -}}
{{- if $v.inner.enabled -}}
{{- if eq $v.inner.existingSecret "" }}{{ fail "inner.existingSecret is missing: a Secret with the key innerLayer.key" }}{{ end -}}
{{- if not $v.inner.allow }}{{ fail "inner.allow is missing: what may be reached, such as '*.default.svc:*'" }}{{ end -}}
{{- if and (not $v.inner.outerLayers) (not $v.outer.enabled) }}{{ fail "inner.outerLayers is missing: URLs such as wss://link.example.com" }}{{ end -}}
{{- if and (not $v.inner.outerLayers) (eq $v.outer.link.tlsSecret "") (not $v.inner.insecure) -}}
{{- fail "outer.link.tlsSecret is missing, so inner layers would come without TLS: give it, or inner.insecure" -}}
{{- end -}}
{{- end -}}
{{- if $v.controller.enabled -}}
{{- if eq $v.controller.publish "service" -}}
{{- if eq $v.controller.server "" }}{{ fail "controller.server is missing: the URL of the API of the service" }}{{ end -}}
{{- if eq $v.controller.existingSecret "" }}{{ fail "controller.existingSecret is missing: a Secret with the key api-token" }}{{ end -}}
{{- if $v.controller.gatewayApi.enabled }}{{ fail "controller.gatewayApi needs controller.publish targets: sockets of a service have no routes" }}{{ end -}}
{{- else if not $v.outer.enabled -}}
{{- fail "controller.publish targets needs outer.enabled: it runs beside the outer layers" -}}
{{- end -}}
{{- end -}}
{{- end -}}
