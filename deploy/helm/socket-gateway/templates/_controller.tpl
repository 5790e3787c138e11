{{/* The container of the controller. Call: (list . "targets") or (list . "service") */}}
{{- define "sg.controller" -}}
{{- $ := index . 0 -}}
{{- $isTargets := eq (index . 1) "targets" -}}
{{- $v := $.Values.controller -}}
- name: controller
  image: {{ include "sg.image" $ }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  args:
    - kubernetes
    - --log-format=json
    {{- if $isTargets }}
    - --targets=/run/found/targets.yaml
    - --base=/etc/socket-gateway/targets/targets.yaml
    # Each pod writes its own file, so each has a Lease of its own.
    - --lease=$(POD_NAME)
    {{- with default $.Values.inner.identifier $v.identifier }}
    - --identifier={{ . }}
    {{- end }}
    {{- if $v.gatewayApi.enabled }}
    - --gateway-controller=socket-gateway/gateway-controller
    {{- range $v.gatewayApi.addresses }}
    - --gateway-address={{ . }}
    {{- end }}
    {{- end }}
    {{- else }}
    - --lease={{ include "sg.fullname" $ }}
    {{- end }}
    {{- with $v.namespace }}
    - --namespace={{ . }}
    {{- end }}
    {{- range $v.allowHosts }}
    - {{ printf "--allow-host=%s" . | quote }}
    {{- end }}
    {{- range $v.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  env:
    - name: POD_NAME
      valueFrom: { fieldRef: { fieldPath: metadata.name } }
    {{- if not $isTargets }}
    - { name: SG_SERVER, value: {{ $v.server | quote }} }
    - name: SG_API_TOKEN
      valueFrom: { secretKeyRef: { name: {{ $v.existingSecret }}, key: api-token } }
    {{- end }}
  securityContext:
    {{- include "sg.security" $ | nindent 4 }}
  resources:
    {{- toYaml $v.resources | nindent 4 }}
  volumeMounts:
    - { name: tmp, mountPath: /tmp }
    - { name: api-access, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
    {{- if $isTargets }}
    - { name: targets, mountPath: /etc/socket-gateway/targets, readOnly: true }
    - { name: found, mountPath: /run/found }
    {{- end }}
{{- end -}}

{{/* What a pod would have by automountServiceAccountToken, for one of its containers alone. */}}
{{- define "sg.apiAccess" -}}
- name: api-access
  projected:
    sources:
      - serviceAccountToken: { path: token, expirationSeconds: 3607 }
      - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
      - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
{{- end -}}
