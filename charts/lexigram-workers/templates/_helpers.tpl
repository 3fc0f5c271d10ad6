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

{{/* An image: repository and tag of .image, the tag of .root where there is none. As everywhere, what stands before the
first slash is a registry if it has a dot or a colon, or is localhost. */}}
{{- define "lexigram.image" -}}
{{- $repository := .image.repository }}
{{- with .root.Values.imageRegistry }}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") }}
{{- end }}
{{- $repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{/* Secrets that images are pulled with, as names separated by commas. */}}
{{- define "lexigram.secretNames" -}}
{{- $names := list }}
{{- range . }}{{ $names = append $names .name }}{{ end -}}
{{- join "," $names -}}
{{- end -}}

{{/* What the operator may do where jobs live: as little as its code needs. */}}
{{- define "lexigram.rules" -}}
# watched, read anew where the watch is behind; deleted once ttlSecondsAfterFinished is over
- apiGroups: [workers.lexigram.dev]
  resources: [embeddingbatches, ingestionjobs, maintenanceschedules]
  verbs: [get, list, watch, delete]
# a Resync asks for a run by an annotation
- apiGroups: [workers.lexigram.dev]
  resources: [ingestionjobs]
  verbs: [patch]
- apiGroups: [workers.lexigram.dev]
  resources: [embeddingbatches/status, ingestionjobs/status, maintenanceschedules/status]
  verbs: [patch]
# an owner reference that holds up the owner's deletion needs this where the API server checks it
- apiGroups: [workers.lexigram.dev]
  resources: [embeddingbatches/finalizers, ingestionjobs/finalizers, maintenanceschedules/finalizers]
  verbs: [update]
# runs: created, suspended and resumed, deleted
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# schedules by cron
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, update, patch, delete]
# why a worker does not run, how it ended, where it answers
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# work specs and store claims are created; those that a job names are looked for
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims]
  verbs: [get, create]
# work specs of runs that are long over
- apiGroups: [""]
  resources: [configmaps]
  verbs: [delete]
# whether a Secret that a job names is there. The operator asks for one by its name and for its metadata only; RBAC has
# no finer grain. Workers mount it, the operator never reads what it holds.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* Selector of the namespaces that are watched. */}}
{{- define "lexigram.watched" -}}
{{- with .Values.watchNamespaces -}}
matchExpressions:
  - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/* Selector of the pods of workers. */}}
{{- define "lexigram.workers" -}}
matchLabels: {app.kubernetes.io/managed-by: lexigram-operator}
matchExpressions:
  - {key: workers.lexigram.dev/owner-uid, operator: Exists}
{{- end -}}
