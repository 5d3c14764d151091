{{/* The prefix of all names. */}}
{{- define "switchboard.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a part; never changes. Called with (list . "controller"). */}}
{{- define "switchboard.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* What selects the pods of one shard of the controller; those of the controller where there is one shard only. Called with
(list . "controller" "0"). */}}
{{- define "switchboard.shardSelector" -}}
{{ include "switchboard.selector" . }}
{{- with index . 2 }}
switchboard.dev/shard: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The shards of the controller, as JSON: one without a name, or as many as there are. */}}
{{- define "switchboard.shards" -}}
{{- $shards := list "" -}}
{{- if gt (int .Values.controller.shards) 1 -}}
{{- $shards = list -}}
{{- range $index := until (int .Values.controller.shards) -}}
{{- $shards = append $shards (toString $index) -}}
{{- end -}}
{{- end -}}
{{- toJson $shards -}}
{{- end -}}

{{/* The Leases of the controller's shards, as JSON. */}}
{{- define "switchboard.leases" -}}
{{- $leases := list "switchboard-controller" -}}
{{- range $index := untilStep 1 (int .Values.controller.shards) 1 -}}
{{- $leases = append $leases (printf "switchboard-controller-%d" $index) -}}
{{- end -}}
{{- toJson $leases -}}
{{- end -}}

{{/* Labels of an object of a part. Called with (list . "controller"). */}}
{{- define "switchboard.labels" -}}
{{- $root := index . 0 -}}
{{ include "switchboard.selector" . }}
app.kubernetes.io/part-of: switchboard
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "switchboard.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "switchboard.serviceAccount" -}}
{{- default (printf "%s-controller" (include "switchboard.fullname" .)) .Values.controller.serviceAccount.name -}}
{{- end -}}

{{- define "switchboard.keys" -}}
{{- default (printf "%s-keys" (include "switchboard.fullname" .)) .Values.keys.existingSecret -}}
{{- end -}}

{{/* "yes" where `lookup` sees the cluster. The release's own namespace is asked for first, since whoever may install into it may read it; with
--create-namespace it is not there yet, and whoever makes namespaces may read kube-system. */}}
{{- define "switchboard.seesCluster" -}}
{{- if lookup "v1" "Namespace" "" .Release.Namespace -}}yes
{{- else if lookup "v1" "Namespace" "" "kube-system" -}}yes
{{- end -}}
{{- end -}}

{{/* Name with the namespace before it, for objects that stand beside those of other releases. */}}
{{- define "switchboard.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "switchboard.fullname" .) -}}
{{- end -}}

{{/* Secret with the directory's certificate; empty without TLS. */}}
{{- define "switchboard.directoryTls" -}}
{{- $tls := .Values.directory.tls -}}
{{- $made := ternary (printf "%s-directory-tls" (include "switchboard.fullname" .)) "" (ne (default "" $tls.certManager.issuerRef.name) "") -}}
{{- default $made $tls.secretName -}}
{{- end -}}

{{- define "switchboard.directoryScheme" -}}
{{- ternary "https" "http" (ne (include "switchboard.directoryTls" .) "") -}}
{{- end -}}

{{- define "switchboard.directoryPort" -}}
{{- $usual := ternary 443 80 (eq (include "switchboard.directoryScheme" .) "https") -}}
{{- int (default $usual .Values.directory.service.port) -}}
{{- end -}}

{{/* The directory's name inside the cluster. */}}
{{- define "switchboard.directoryHost" -}}
{{- printf "%s-directory.%s.svc" (include "switchboard.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "switchboard.directoryUrl" -}}
{{- $scheme := include "switchboard.directoryScheme" . -}}
{{- $port := int (include "switchboard.directoryPort" .) -}}
{{- $port = ternary "" (printf ":%d" $port) (eq $port (ternary 443 80 (eq $scheme "https"))) -}}
{{- default (printf "%s://%s%s" $scheme (include "switchboard.directoryHost" .) $port) .Values.directory.url -}}
{{- end -}}

{{/* Refuses values about TLS that do not go together. */}}
{{- define "switchboard.checkTls" -}}
{{- $tls := .Values.directory.tls -}}
{{- $encrypted := include "switchboard.directoryTls" . -}}
{{- if and $tls.certManager.issuerRef (not $tls.certManager.issuerRef.name) -}}
{{- fail "directory.tls.certManager.issuerRef: name the issuer in name" -}}
{{- end -}}
{{- if and $encrypted (hasPrefix "http://" .Values.directory.url) -}}
{{- fail "directory.url: it begins with http://, and with directory.tls the directory speaks HTTPS only; write https://" -}}
{{- end -}}
{{- if and $tls.caBundle.configMap (hasPrefix "http://" (include "switchboard.directoryUrl" .)) -}}
{{- fail "directory.tls.caBundle.configMap: the directory is reached by http://, where no authority is asked; name its certificate in directory.tls.secretName, or an https:// address in directory.url" -}}
{{- end -}}
{{- end -}}

{{/* Where `helm test` has a resource judged: a namespace that the controller works in. */}}
{{- define "switchboard.testNamespace" -}}
{{- $namespaces := .Values.scope.namespaces -}}
{{- if or (empty $namespaces) (has .Release.Namespace $namespaces) -}}
{{ .Release.Namespace }}
{{- else -}}
{{ first $namespaces }}
{{- end -}}
{{- end -}}

{{- define "switchboard.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.podSecurity.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .Values.podSecurity.runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "switchboard.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where pods of a part run. Called with (list . "controller" .Values.controller), and with the shard where there are several. */}}
{{- define "switchboard.placement" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else if gt (int $values.replicas) 1 }}
topologySpreadConstraints:
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "switchboard.shardSelector" (list $root (index $ 1) (index (append $ "") 3)) | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Annotations of the pods of a part. Called with (list . .Values.controller "http"). */}}
{{- define "switchboard.podAnnotations" -}}
{{- $root := index . 0 -}}
{{- $annotations := dict -}}
{{- if $root.Values.metrics.scrapeAnnotations -}}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" "8080" "prometheus.io/path" "/metrics" -}}
{{- if eq (index . 2) "https" -}}
{{- $annotations = set $annotations "prometheus.io/scheme" "https" -}}
{{- end -}}
{{- end -}}
{{- $annotations = mustMerge (dict) (index . 1).podAnnotations $annotations -}}
{{- if $annotations -}}
{{- toYaml $annotations -}}
{{- end -}}
{{- end -}}

{{/* The file of --worker-pods. */}}
{{- define "switchboard.workerPods" -}}
{{- toYaml (dict "podTemplate" .Values.worker.podTemplate "tenantsMay" .Values.worker.tenantsMay) -}}
{{- end -}}
