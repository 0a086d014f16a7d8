{{- define "wecom-gate.labels" -}}
app.kubernetes.io/name: wecom-gate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "wecom-gate.selector" -}}
app.kubernetes.io/name: wecom-gate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gate
{{- end }}

{{- define "wecom-gate.redis-selector" -}}
app.kubernetes.io/name: wecom-gate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: redis
{{- end }}

{{- define "wecom-gate.host" -}}
{{- $origin := urlParse .Values.origin -}}
{{- if not $origin.host }}{{ fail "origin must be an address such as https://nocobase.example.com" }}{{ end -}}
{{- regexReplaceAll ":[0-9]+$" $origin.host "" -}}
{{- end }}
