// Where the CustomResourceDefinitions of the API tier come from. Nothing is built here and nothing is resolved: each
// module is read in exactly its own version, so `go mod tidy` would only empty this file.
module sluice.dev/test/cluster/programs/crds

go 1.26.0

require (
	github.com/argoproj/argo-cd/v3 v3.5.7
	github.com/bitnami-labs/sealed-secrets v0.40.0
	github.com/cert-manager/cert-manager v1.21.2
	github.com/cilium/cilium v1.20.2
	github.com/envoyproxy/gateway v1.9.1
	github.com/external-secrets/external-secrets v1.3.2
	github.com/fluxcd/kustomize-controller v1.9.6
	github.com/fluxcd/source-controller v1.9.6
	github.com/kedacore/keda/v2 v2.21.0
	github.com/kong/kubernetes-configuration v1.4.0
	// the newest of F5's that has no major version in its module's path
	github.com/nginx/kubernetes-ingress v1.12.5
	github.com/projectcontour/contour v1.33.8
	github.com/prometheus-operator/prometheus-operator v0.85.0
	github.com/traefik/traefik/v3 v3.7.13
	istio.io/api v1.32.0
	sigs.k8s.io/gateway-api v1.6.3
	sigs.k8s.io/lws v0.8.0
)
