package mesh.test

import data.mesh

services := {
	"pre-processor": {
		"spiffe_ids": ["spiffe://td/pre-processor"],
		"limits": [],
		"calls": [{
			"routes": ["model-server"],
			"methods": ["POST"],
			"operations": ["infer"],
			"models": ["llama"],
			"tenants": "any",
			"unbounded": true,
			"upstream": "nobody's",
		}],
	},
	"service-a": {
		"spiffe_ids": ["spiffe://td/service-a"],
		"dns_names": ["service-a.example"],
		"subjects": ["CN=service-a"],
		"limits": ["calls"],
		"calls": [{"routes": ["predict"], "methods": ["POST"], "max_bytes": 1000000}],
		"carries": ["chat"],
	},
}

spiffe(name) := {"spiffe_id": concat("", ["spiffe://td/", name]), "trust_domain": "td", "dns_sans": []}

bytes(count) := {"known": true, "bytes": count}

to_model_server := {
	"request": {"method": "POST", "size": bytes(10)},
	"route": {"name": "model-server", "tenant": "tenant-a", "model": "llama", "operation": "infer"},
	"identity": {"kind": "mtls"},
	"peer": spiffe("pre-processor"),
}

predict(size) := {
	"request": {"method": "POST", "size": size},
	"route": {"name": "predict"},
	"identity": {"kind": "mtls"},
	"peer": spiffe("service-a"),
}

models := {"llama": {"upstreams": {"tenant-a": "tenant-a-llama"}}, "mistral": {"upstreams": {}}}

catalog := {"services": services, "models": models}

with_services(changed_services) := {"services": changed_services, "models": models}

changed(request, path, value) := json.patch(request, [{"op": "add", "path": path, "value": value}])

refused(request, reasons) if {
	mesh.reasons == reasons with input as request with data.catalog as catalog
	not mesh.permitted with input as request with data.catalog as catalog
}

test_listed_call_is_permitted_and_goes_to_the_upstream_of_the_tenant if {
	mesh.permitted with input as to_model_server with data.catalog as catalog
	mesh.reasons == set() with input as to_model_server with data.catalog as catalog
	mesh.payload_reasons == set() with input as to_model_server with data.catalog as catalog
	mesh.upstream == "tenant-a-llama" with input as to_model_server with data.catalog as catalog
}

test_pre_processor_may_call_nothing_but_the_model_server if {
	every route in [
		{"name": "predict"},
		{"name": "admin"},
		{"name": "model-server", "tenant": "tenant-a", "model": "llama", "operation": "unload"},
		{"name": "model-server", "tenant": "tenant-a", "model": "mistral", "operation": "infer"},
	] {
		refused(changed(to_model_server, "/route", route), {"call_not_permitted"})
	}
	refused(changed(to_model_server, "/route", null), {"call_not_permitted"})
	refused(changed(to_model_server, "/request/method", "DELETE"), {"call_not_permitted"})
	refused(json.remove(to_model_server, ["/route"]), {"call_not_permitted"})
	refused(json.remove(to_model_server, ["/request/method"]), {"call_not_permitted"})
}

test_service_a_may_call_predict_below_its_bound if {
	every count in [0, 1, 1000000] {
		mesh.permitted with input as predict(bytes(count)) with data.catalog as catalog
	}
	not mesh.upstream with input as predict(bytes(1)) with data.catalog as catalog
}

test_service_a_may_send_no_more if {
	request := predict(bytes(1000001))
	refused(request, set())
	mesh.payload_reasons == {"service_payload_too_large"} with input as request with data.catalog as catalog
}

test_unknown_size_is_over_every_bound if {
	every size in [{"known": false, "at_least": 0}, {}, null, {"bytes": 1}] {
		request := predict(size)
		refused(request, set())
		reasons := mesh.payload_reasons with input as request with data.catalog as catalog
		reasons == {"service_payload_size_unknown"}
	}
}

test_bound_or_size_that_is_no_number_holds_nothing if {
	every size in [bytes("1"), bytes(null), {"known": true}] {
		not mesh.permitted with input as predict(size) with data.catalog as catalog
	}
	every bound in ["1000000", null, true] {
		loose := changed(services, "/service-a/calls/0/max_bytes", bound)
		not mesh.permitted with input as predict(bytes(1)) with data.catalog as with_services(loose)
	}
	missing := json.remove(services, ["/service-a/calls/0/max_bytes"])
	not mesh.permitted with input as predict(bytes(1)) with data.catalog as with_services(missing)
	mistaken := changed(missing, "/service-a/calls/0/unbounded", "yes")
	not mesh.permitted with input as predict(bytes(1)) with data.catalog as with_services(mistaken)
}

test_unbounded_call_takes_any_size if {
	request := changed(to_model_server, "/request/size", {"known": false, "at_least": 0})
	mesh.permitted with input as request with data.catalog as catalog
	mesh.payload_reasons == set() with input as request with data.catalog as catalog
}

test_size_says_nothing_of_a_call_that_does_not_fit if {
	every size in [bytes(1000001), {"known": false, "at_least": 0}] {
		request := changed(predict(size), "/route/name", "admin")
		refused(request, {"call_not_permitted"})
		mesh.payload_reasons == set() with input as request with data.catalog as catalog
	}
}

test_stranger_is_no_service if {
	every peer in [
		spiffe("stranger"),
		spiffe("service-a/x"),
		{"spiffe_id": "spiffe://other/service-a", "dns_sans": []},
		{"dns_sans": ["stranger.example"]},
		{"dns_sans": [], "subject": "CN=stranger"},
		{"dns_sans": []},
		{},
		null,
	] {
		refused(changed(predict(bytes(1)), "/peer", peer), {"unknown_service"})
	}
	refused(json.remove(predict(bytes(1)), ["/peer"]), {"unknown_service"})
}

test_nobody_is_a_service_without_data if {
	mesh.reasons == {"unknown_service"} with input as predict(bytes(1)) with data.catalog as {}
	mesh.reasons == {"unknown_service"} with input as predict(bytes(1)) with data.catalog.services as {"x": {}}
}

test_dns_names_and_subjects_are_names_of_their_own if {
	every peer in [
		{"dns_sans": ["service-a.example"]},
		{"dns_sans": ["other.example", "service-a.example"]},
		{"dns_sans": [], "subject": "CN=service-a"},
	] {
		request := changed(predict(bytes(1)), "/peer", peer)
		mesh.permitted with input as request with data.catalog as catalog
	}
}

test_no_kind_of_name_stands_for_another if {
	every peer in [
		{"spiffe_id": "spiffe://td/stranger", "dns_sans": ["service-a.example"], "subject": "CN=service-a"},
		{"spiffe_id": "spiffe://td/stranger", "dns_sans": [], "subject": "CN=service-a"},
		{"dns_sans": ["stranger.example"], "subject": "CN=service-a"},
		{"spiffe_id": "service-a.example", "dns_sans": []},
		{"dns_sans": ["spiffe://td/service-a"]},
		{"dns_sans": ["CN=service-a"]},
		{"dns_sans": [], "subject": "spiffe://td/service-a"},
	] {
		refused(changed(predict(bytes(1)), "/peer", peer), {"unknown_service"})
	}
}

test_what_the_route_has_must_be_named if {
	every key in ["tenants", "models", "operations"] {
		silent := json.remove(services, [concat("/", ["pre-processor/calls/0", key])])
		not mesh.permitted with input as to_model_server with data.catalog as with_services(silent)
		any := changed(services, concat("/", ["/pre-processor/calls/0", key]), "any")
		mesh.permitted with input as to_model_server with data.catalog as with_services(any)
	}
	listed := changed(services, "/pre-processor/calls/0/tenants", ["tenant-b", "tenant-a"])
	mesh.permitted with input as to_model_server with data.catalog as with_services(listed)
	narrow := changed(services, "/pre-processor/calls/0/tenants", ["tenant-b"])
	not mesh.permitted with input as to_model_server with data.catalog as with_services(narrow)
}

test_calls_with_different_upstreams_pass_to_none if {
	call := {"routes": ["predict"], "methods": ["POST"], "max_bytes": 10, "upstream": "one"}
	other := object.union(call, {"upstream": "two"})
	both := changed(services, "/service-a/calls", [call, other])
	mesh.reasons == {"ambiguous_upstream"} with input as predict(bytes(1)) with data.catalog as with_services(both)
	not mesh.upstream with input as predict(bytes(1)) with data.catalog as with_services(both)
}

test_tenant_has_its_own_upstream_whatever_the_calls_name if {
	call := services["pre-processor"].calls[0]
	other := object.union(call, {"upstream": "somebody's"})
	both := changed(services, "/pre-processor/calls", [call, other])
	mesh.reasons == set() with input as to_model_server with data.catalog as with_services(both)
	mesh.upstream == "tenant-a-llama" with input as to_model_server with data.catalog as with_services(both)
}

test_call_on_a_route_without_tenant_goes_to_the_upstream_that_it_names if {
	named := changed(services, "/service-a/calls/0/upstream", "predictor")
	mesh.upstream == "predictor" with input as predict(bytes(1)) with data.catalog as with_services(named)
	not mesh.upstream with input as predict(bytes(1000001)) with data.catalog as with_services(named)
}

test_tenant_without_upstream_has_nothing_to_call if {
	request := changed(to_model_server, "/route/tenant", "tenant-b")
	mesh.reasons == {"not_deployed"} with input as request with data.catalog as catalog
	not mesh.upstream with input as request with data.catalog as catalog
}

test_service_must_say_its_limits if {
	every limits in ["none", null, {}] {
		unsaid := changed(services, "/service-a/limits", limits)
		mesh.reasons == {"limits_unsaid"} with input as predict(bytes(1)) with data.catalog as with_services(unsaid)
	}
	missing := json.remove(services, ["/service-a/limits"])
	mesh.reasons == {"limits_unsaid"} with input as predict(bytes(1)) with data.catalog as with_services(missing)
}

test_carried_route_needs_its_carrier if {
	chat := {"route": {"name": "chat"}, "identity": {"kind": "jwt"}, "peer": spiffe("pre-processor")}
	mesh.carrier_reasons == {"peer_required"} with input as chat with data.catalog as catalog
	none := changed(chat, "/peer", null)
	mesh.carrier_reasons == {"peer_required"} with input as none with data.catalog as catalog
	through := changed(chat, "/peer", spiffe("service-a"))
	mesh.carrier_reasons == set() with input as through with data.catalog as catalog
}

test_other_routes_need_no_carrier if {
	infer := {"route": {"name": "infer"}, "identity": {"kind": "jwt"}, "peer": null}
	mesh.carrier_reasons == set() with input as infer with data.catalog as catalog
	mesh.carrier_reasons == set() with input as {} with data.catalog as catalog
	mesh.carrier_reasons == set() with input as infer
}

test_shipped_data_knows_no_service if {
	mesh.reasons == {"unknown_service"} with input as to_model_server
}
