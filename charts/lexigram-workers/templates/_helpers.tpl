{{/* Name of the operator's objects. */}}
{{- define "lexigram.name" -}}
{{- printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which the operator's pods are found; they never change. */}}
{{- define "lexigram.selector" -}}
app.kubernetes.io/name: lexigram-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lexigram.labels" -}}
{{ include "lexigram.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "lexigram.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "lexigram.name" .) -}}
{{- end -}}

{{/* An image: repository and tag of .image, the tag of .root where there is none. */}}
{{- define "lexigram.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{/* What the operator may do where jobs live. */}}
{{- define "lexigram.rules" -}}
- apiGroups: [workers.lexigram.dev]
  resources: [ingestionjobs]
  verbs: [get, list, watch, delete]
- apiGroups: [workers.lexigram.dev]
  resources: [ingestionjobs/status]
  verbs: [get, patch]
# owner references that block the owner's deletion need this where the admission plugin checks them
- apiGroups: [workers.lexigram.dev]
  resources: [ingestionjobs/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, create, patch]
# whether a Secret that a job names is there: asked for by name, its metadata only. RBAC knows no finer grain.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
