{{/* What every name begins with. Two releases, in one namespace or in two, share no name. */}}
{{- define "fed.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 30 | trimSuffix "-" -}}
{{- end -}}

{{/* A site's name as Kubernetes takes it. */}}
{{- define "fed.slug" -}}
{{- . | lower | replace "_" "-" | replace "." "-" | replace "@" "-" | trunc 20 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects this release's pods; it never changes. */}}
{{- define "fed.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fed.labels" -}}
{{ include "fed.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{/* A site's image: the federation's, with what the site says otherwise. One that names another tag has its digest. */}}
{{- define "fed.image" -}}
{{- $own := .settings.image | default dict -}}
{{- $all := .root.Values.image -}}
{{- $other := or $own.repository $own.tag -}}
{{- $repository := $own.repository | default $all.repository -}}
{{- with $own.digest | default (ternary "" $all.digest (not (empty $other))) -}}
{{ list $repository . | join "@" }}
{{- else -}}
{{ $repository }}:{{ $own.tag | default $all.tag | default $.root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* All sites of this release, as {"sites": [{name, slug, component, settings}]}. */}}
{{- define "fed.sites" -}}
{{- $sites := list -}}
{{- if .Values.server.enabled -}}
{{- $settings := mergeOverwrite (deepCopy .Values.sites) (omit .Values.server "site" "address" "cidrs" "ports" "service" "ingress" "allowFrom") -}}
{{- $sites = append $sites (dict "name" .Values.server.site "slug" (include "fed.slug" .Values.server.site) "component" "server" "settings" $settings) -}}
{{- end -}}
{{- range $name, $own := .Values.clients -}}
{{- $own = $own | default dict -}}
{{- if and $own (or (not (hasKey $own "enabled")) $own.enabled) -}}
{{- $settings := mergeOverwrite (deepCopy $.Values.sites) $own -}}
{{- $sites = append $sites (dict "name" $name "slug" (include "fed.slug" $name) "component" "client" "settings" $settings) -}}
{{- end -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $sites -}}
{{- if hasKey $seen .slug -}}
{{- fail (printf "the sites %s and %s would have the same name %s here" (get $seen .slug) .name .slug) -}}
{{- end -}}
{{- $_ := set $seen .slug .name -}}
{{- end -}}
{{- dict "sites" $sites | toJson -}}
{{- end -}}

{{- define "fed.kitSecret" -}}
{{- $kit := .site.settings.kit | default dict -}}
{{- $kit.secret | default (printf "%s-%s-kit" (include "fed.fullname" .root) .site.slug) -}}
{{- end -}}

{{/* What keeps a container to itself. */}}
{{- define "fed.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "fed.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}
