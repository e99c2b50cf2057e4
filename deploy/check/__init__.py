"""`make deploy-check`: what an orchestrator's tools say of the files in deploy/. Needs Go, no cluster, no engine.

Helm and kubeconform are built from their sources on first use (minutes of CPU, once) and kept in the cache beside the
embedded servers' jars. Schemas: Kubernetes' from the package kubernetes-validate, those of KEDA and the Prometheus
operator from the custom resource definitions in their Go modules, Compose's from the module of compose-go.
"""
