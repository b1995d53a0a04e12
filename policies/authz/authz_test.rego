package authz.test

import data.authz

call := {
	"request": {"method": "POST", "size": {"known": true, "bytes": 10}},
	"route": {"name": "infer", "tenant": "tenant-a", "model": "llama-3-8b", "operation": "infer"},
	"identity": {"kind": "jwt", "tenant": "tenant-a", "tier": "free", "roles": []},
}

changed(path, value) := json.patch(call, [{"op": "add", "path": path, "value": value}])

without(path) := json.remove(call, [path])

preflight := {
	"request": {"method": "OPTIONS", "size": {"known": true, "bytes": 0}},
	"route": {"name": "chat-preflight", "operation": "preflight"},
	"identity": {"kind": "anonymous", "roles": []},
}

test_granted_call_passes_to_its_upstream if {
	authz.decision == {"allow": true, "reasons": [], "upstream": "tenant-a-llama-3-8b"} with input as call
}

test_every_verified_kind_of_user_passes if {
	every kind in ["jwt", "api_key"] {
		authz.allow with input as changed("/identity/kind", kind)
	}
}

test_anonymous_is_refused_and_the_status_is_left_to_the_core if {
	every request in [
		changed("/identity", {"kind": "anonymous", "roles": []}),
		changed("/identity/kind", "anonymous"),
		changed("/identity/kind", "root"),
		without("/identity"),
		without("/identity/kind"),
		{},
	] {
		authz.decision == {"allow": false, "reasons": ["anonymous"]} with input as request
	}
}

test_other_tenant_is_refused if {
	authz.decision == {"allow": false, "reasons": ["other_tenant"]} with input as changed("/route/tenant", "tenant-b")
}

test_unknown_tier_is_refused if {
	verdict := authz.decision with input as changed("/identity/tier", "gold")
	not verdict.allow
	verdict.reasons == ["not_granted", "payload_too_large", "unknown_tier"]
}

test_tier_of_another_tenant_is_refused if {
	verdict := authz.decision with input as call with data.catalog.tenants as {"tenant-a": {"tiers": ["premium"]}}
	verdict == {"allow": false, "reasons": ["tier_not_of_tenant"]}
}

test_model_that_is_not_granted_is_refused if {
	authz.decision == {"allow": false, "reasons": ["not_granted"]} with input as changed("/route/model", "mistral-7b")
}

test_grant_is_needed_even_where_nothing_speaks_against if {
	verdict := authz.decision with input as call with data.models.permitted as false with data.models.reasons as set()
	verdict == {"allow": false, "reasons": []}
}

test_caller_is_needed_even_where_nothing_speaks_against if {
	not authz.allow with input as changed("/identity/kind", "anonymous") with data.authz.reasons as set()
}

test_upstream_is_needed_even_where_nothing_speaks_against if {
	nowhere := changed("/route/tenant", "tenant-c")
	not authz.allow with input as nowhere with data.authz.reasons as set()
}

test_preflight_of_a_tenants_path_names_no_upstream if {
	route := {"name": "p", "operation": "preflight", "tenant": "tenant-a", "model": "llama-3-8b"}
	request := json.patch(preflight, [{"op": "replace", "path": "/route", "value": route}])
	authz.decision == {"allow": true, "reasons": []} with input as request
}

test_reason_of_any_package_is_enough_to_refuse if {
	not authz.allow with input as call with data.tenancy.reasons as {"x"}
	not authz.allow with input as call with data.tiers.reasons as {"x"}
	not authz.allow with input as call with data.models.reasons as {"x"}
	not authz.allow with input as call with data.payload.reasons as {"x"}
}

test_payload_alone_is_answered_413 if {
	authz.decision == {"allow": false, "reasons": ["payload_too_large"], "status": 413} with input as changed(
		"/request/size/bytes",
		65537,
	)
	authz.decision == {"allow": false, "reasons": ["payload_size_unknown"], "status": 413} with input as changed(
		"/request/size",
		{"known": false, "at_least": 0},
	)
}

test_payload_beside_another_reason_is_not_answered_413 if {
	request := json.patch(call, [
		{"op": "replace", "path": "/request/size/bytes", "value": 65537},
		{"op": "replace", "path": "/route/tenant", "value": "tenant-b"},
	])
	verdict := {"allow": false, "reasons": ["other_tenant", "payload_too_large"]}
	authz.decision == verdict with input as request
}

test_missing_route_is_refused if {
	every request in [changed("/route", null), without("/route")] {
		not authz.allow with input as request
	}
}

test_preflight_passes_without_credential_and_names_no_upstream if {
	authz.decision == {"allow": true, "reasons": []} with input as preflight
}

test_preflight_passes_with_a_credential_that_would_be_refused_elsewhere if {
	request := object.union(preflight, {"identity": {"kind": "jwt", "tenant": "nowhere", "roles": []}})
	authz.decision == {"allow": true, "reasons": []} with input as request
}

test_preflight_needs_both_the_operation_and_the_method if {
	not authz.allow with input as json.patch(preflight, [{"op": "replace", "path": "/request/method", "value": "POST"}])
	not authz.allow with input as json.patch(preflight, [{"op": "replace", "path": "/route/operation", "value": "chat"}])
}

test_client_headers_change_nothing if {
	forged := object.union(call, {"attributes": {"request": {"http": {"headers": {"x-sallyport-tenant": "tenant-b"}}}}})
	authz.decision == authz.decision with input as forged
	authz.decision.upstream == "tenant-a-llama-3-8b" with input as forged
}

names(charges) := {charge.name | some charge in charges}

test_shipped_routes_are_charged if {
	infer := authz.limits with input as call
	[names(plan) | some plan in infer.plans] == [{"client-rps", "endpoint-rps"}, {"client-rps", "endpoint-rps"}]
	chat := authz.limits with input as object.union(call, {
		"route": {"name": "chat", "operation": "chat"},
		"inference": {"estimated_prompt_tokens": 1},
	})
	every plan in chat.plans {
		names(plan) == {"client-rps", "endpoint-rps", "tokens-per-minute"}
	}
	names(authz.limits) == {"address-rps"} with input as preflight
	authz.limits == [] with input as changed("/route/name", "unheard of")
	authz.limits == [] with input as {}
}

test_a_model_that_serves_instead_is_told_and_has_its_own_upstream if {
	catalog := object.union(data.catalog.models, {"llama-3-8b": {"fallback": "mistral-7b"}})
	request := json.patch(call, [
		{"op": "replace", "path": "/identity/tier", "value": "premium"},
		{"op": "add", "path": "/quota", "value": {"plan": 2}},
	])
	authz.decision == {
		"allow": true,
		"reasons": [],
		"upstream": "tenant-a-mistral-7b",
		"response_headers": {"x-served-model": "mistral-7b"},
		"metadata": {"model": "mistral-7b", "requested_model": "llama-3-8b"},
	} with input as request with data.catalog.models as catalog
	asked := json.patch(request, [{"op": "replace", "path": "/quota/plan", "value": 1}])
	authz.decision == {"allow": true, "reasons": [], "upstream": "tenant-a-llama-3-8b"} with input as asked
		with data.catalog.models as catalog
	large := json.patch(request, [{"op": "replace", "path": "/request/size/bytes", "value": 2000000}])
	authz.decision == {"allow": false, "reasons": ["payload_too_large"], "status": 413} with input as large
		with data.catalog.models as catalog
	ungranted := json.patch(request, [{"op": "replace", "path": "/identity/tier", "value": "free"}])
	authz.decision == {"allow": false, "reasons": []} with input as ungranted with data.catalog.models as catalog
}

services := {"web": {
	"spiffe_ids": ["spiffe://td/web"],
	"limits": [],
	"calls": [
		{"routes": ["infer"], "methods": ["POST"], "tenants": "any", "models": "any", "operations": "any", "max_bytes": 10},
		{"routes": ["predict"], "methods": ["POST"], "max_bytes": 10},
	],
	"carries": ["chat"],
}}

web := {"spiffe_id": "spiffe://td/web", "trust_domain": "td", "dns_sans": []}

service_call := object.union(call, {"identity": {"kind": "mtls", "roles": []}, "peer": web})

test_service_passes_by_its_own_rules_and_needs_no_tenant_or_tier if {
	authz.decision == {"allow": true, "reasons": [], "upstream": "tenant-a-llama-3-8b"} with input as service_call
		with data.catalog.services as services
}

test_service_passes_without_upstream_where_neither_route_nor_rule_names_one if {
	request := json.patch(service_call, [{"op": "replace", "path": "/route", "value": {"name": "predict"}}])
	authz.decision == {"allow": true, "reasons": []} with input as request with data.catalog.services as services
}

test_service_is_refused_by_what_users_pass_by if {
	granted := object.union(service_call, {"identity": {"kind": "mtls", "tenant": "tenant-a", "tier": "free"}})
	authz.decision == {"allow": false, "reasons": ["unknown_service"]} with input as granted
	stranger := object.union(granted, {"peer": {"spiffe_id": "spiffe://td/stranger"}})
	authz.decision == {"allow": false, "reasons": ["unknown_service"]} with input as stranger
		with data.catalog.services as services
}

test_service_is_refused_another_route_or_deployment if {
	chat := object.union(service_call, {"route": {"name": "chat", "tenant": "tenant-a"}})
	authz.decision == {"allow": false, "reasons": ["call_not_permitted"]} with input as chat
		with data.catalog.services as services
	nowhere := object.union(service_call, {"route": {"tenant": "tenant-c"}})
	authz.decision == {"allow": false, "reasons": ["not_deployed"]} with input as nowhere
		with data.catalog.services as services
}

test_service_needs_its_own_rule_even_where_nothing_speaks_against if {
	authz.allow with input as service_call with data.catalog.services as services with data.authz.reasons as set()
	not authz.allow with input as service_call with data.catalog.services as {} with data.authz.reasons as set()
}

test_rule_of_a_service_lets_nobody_else_pass_even_where_nothing_speaks_against if {
	every kind in ["jwt", "api_key", "anonymous"] {
		other := object.union(service_call, {"identity": {"kind": kind, "tenant": "nowhere", "tier": "none"}})
		not authz.allow with input as other with data.catalog.services as services with data.authz.reasons as set()
	}
}

test_service_over_its_own_bound_is_answered_413 if {
	request := object.union(service_call, {"request": {"size": {"known": true, "bytes": 11}}})
	verdict := {"allow": false, "reasons": ["service_payload_too_large"], "status": 413}
	authz.decision == verdict with input as request with data.catalog.services as services
}

test_service_keeps_to_the_tenant_of_the_host if {
	request := object.union(service_call, {"request": {"host": "b.example"}})
	authz.decision == {"allow": false, "reasons": ["other_host"]} with input as request
		with data.catalog.services as services
		with data.catalog.hosts as {"b.example": "tenant-b"}
}

test_user_does_not_pass_by_the_rules_of_the_service_that_carries_him if {
	user := object.union(service_call, {"identity": {"kind": "jwt", "tenant": "tenant-b", "tier": "free"}})
	authz.decision == {"allow": false, "reasons": ["other_tenant"]} with input as user
		with data.catalog.services as services
}

test_user_on_a_carried_route_passes_through_its_service_only if {
	chat := object.union(call, {"route": {"name": "chat", "operation": "chat"}})
	authz.decision == {"allow": false, "reasons": ["peer_required"]} with input as chat
		with data.catalog.services as services
	through := object.union(chat, {"peer": web})
	authz.decision == {"allow": true, "reasons": [], "upstream": "tenant-a-llama-3-8b"} with input as through
		with data.catalog.services as services
}

test_unheard_of_kind_of_caller_is_refused if {
	authz.decision == {"allow": false, "reasons": ["anonymous"]} with input as changed("/identity/kind", "MTLS")
}
