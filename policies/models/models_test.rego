package models.test

import data.models

catalog := {
	"bird": {
		"grants": {
			"infer": [{"tiers": ["small", "large"]}],
			"tune": [{"tiers": ["large"], "roles": ["trainer", "owner"]}],
			"drop": [{"tiers": ["large"], "tenants": ["blue"]}],
			"empty": [{}, {"roles": ["owner"]}, {"tenants": ["blue"]}],
			"nulls": [{"tiers": ["large"], "roles": null}, {"tiers": ["large"], "tenants": null}],
		},
		"upstreams": {"blue": "blue-bird", "green": "green-bird"},
		"role_upstreams": {"blue": [
			{"role": "trainer", "upstream": "blue-bird-training"},
			{"role": "batch", "upstream": "blue-bird-batch"},
		]},
	},
	"fish": {"grants": {"infer": [{"tiers": ["large"]}]}},
}

call(tier, operation, roles) := {
	"identity": {"tenant": "blue", "tier": tier, "roles": roles},
	"route": {"tenant": "blue", "model": "bird", "operation": operation},
}

from_tenant(tenant) := {
	"identity": {"tenant": tenant, "tier": "large", "roles": []},
	"route": {"tenant": "blue", "model": "bird", "operation": "drop"},
}

test_granted_tier_may_call if {
	models.permitted with input as call("small", "infer", []) with data.catalog.models as catalog
	models.reasons == set() with input as call("small", "infer", []) with data.catalog.models as catalog
}

test_upstream_is_the_tenants_own if {
	models.upstream == "blue-bird" with input as call("small", "infer", []) with data.catalog.models as catalog
}

test_first_role_with_an_upstream_chooses_it if {
	every case in [
		[["batch"], "blue-bird-batch"],
		[["guest", "batch"], "blue-bird-batch"],
		[["batch", "trainer"], "blue-bird-training"],
		[["guest"], "blue-bird"],
		[["Batch"], "blue-bird"],
	] {
		models.upstream == case[1] with input as call("small", "infer", case[0]) with data.catalog.models as catalog
	}
}

test_role_chooses_nothing_in_another_tenant if {
	request := {
		"identity": {"tenant": "green", "tier": "small", "roles": ["batch"]},
		"route": {"tenant": "blue", "model": "bird", "operation": "infer"},
	}
	models.upstream == "blue-bird" with input as request with data.catalog.models as catalog
}

test_role_of_one_tenant_means_nothing_to_another if {
	request := {
		"identity": {"tenant": "green", "tier": "small", "roles": ["batch"]},
		"route": {"tenant": "green", "model": "bird", "operation": "infer"},
	}
	models.upstream == "green-bird" with input as request with data.catalog.models as catalog
}

test_absent_roles_choose_nothing if {
	request := {
		"identity": {"tenant": "blue", "tier": "small"},
		"route": {"tenant": "blue", "model": "bird", "operation": "infer"},
	}
	models.upstream == "blue-bird" with input as request with data.catalog.models as catalog
}

test_shipped_upstreams_have_one_tenant_each if {
	owners := {[upstream, tenant] |
		some model in data.catalog.models
		some tenant, upstream in model.upstreams
	} | {[entry.upstream, tenant] |
		some model in data.catalog.models
		some tenant, entries in model.role_upstreams
		some entry in entries
	}
	names := {upstream | some [upstream, _] in owners}
	count(names) == count(owners)
	count(names) > 4
}

test_other_tier_may_not_call if {
	not models.permitted with input as call("tiny", "infer", []) with data.catalog.models as catalog
	models.reasons == {"not_granted"} with input as call("tiny", "infer", []) with data.catalog.models as catalog
}

test_role_narrows_a_grant if {
	models.permitted with input as call("large", "tune", ["guest", "owner"]) with data.catalog.models as catalog
	not models.permitted with input as call("large", "tune", ["guest"]) with data.catalog.models as catalog
	not models.permitted with input as call("large", "tune", []) with data.catalog.models as catalog
	not models.permitted with input as call("small", "tune", ["owner"]) with data.catalog.models as catalog
}

test_tenant_narrows_a_grant if {
	models.permitted with input as from_tenant("blue") with data.catalog.models as catalog
	not models.permitted with input as from_tenant("green") with data.catalog.models as catalog
}

test_grant_without_tiers_permits_nobody if {
	not models.permitted with input as call("large", "empty", ["owner"]) with data.catalog.models as catalog
}

test_grant_with_null_conditions_permits_nobody if {
	not models.permitted with input as call("large", "nulls", ["owner"]) with data.catalog.models as catalog
}

test_unlisted_operation_is_refused if {
	models.reasons == {"not_granted"} with input as call("large", "erase", ["owner"]) with data.catalog.models as catalog
}

test_unknown_model_is_refused if {
	every route in [
		null, {},
		{"tenant": "blue", "operation": "infer"},
		{"tenant": "blue", "model": "dragon", "operation": "infer"},
	] {
		models.reasons == {"unknown_model"} with input as {"identity": {"tenant": "blue", "tier": "large"}, "route": route}
			with data.catalog.models as catalog
	}
}

test_model_without_upstream_of_the_tenant_is_refused if {
	request := {
		"identity": {"tenant": "blue", "tier": "large", "roles": []},
		"route": {"tenant": "blue", "model": "fish", "operation": "infer"},
	}
	models.reasons == {"not_deployed"} with input as request with data.catalog.models as catalog
}

test_absent_caller_is_refused if {
	request := {"route": {"tenant": "blue", "model": "bird", "operation": "infer"}}
	not models.permitted with input as request with data.catalog.models as catalog
}

test_shipped_free_tier_has_one_model if {
	granted := {model |
		some model in object.keys(data.catalog.models)
		request := {
			"identity": {"tenant": "tenant-a", "tier": "free", "roles": []},
			"route": {"tenant": "tenant-a", "model": model, "operation": "infer"},
		}
		models.permitted with input as request
	}
	granted == {"llama-3-8b"}
}

limited(names) := object.union(call("small", "infer", []), {"identity": {"models": names}})

test_credential_is_good_for_the_models_that_it_names if {
	every names in [["bird"], ["fish", "bird"]] {
		models.reasons == set() with input as limited(names) with data.catalog.models as catalog
	}
	every names in [[], ["fish"], ["Bird"]] {
		models.reasons == {"not_of_credential"} with input as limited(names) with data.catalog.models as catalog
	}
}

test_credential_is_not_blamed_for_an_unknown_model if {
	request := object.union(limited(["fish"]), {"route": {"model": "dragon"}})
	models.reasons == {"unknown_model"} with input as request with data.catalog.models as catalog
}

usable(name, tier) if {
	models.usable(name) with input as call(tier, "infer", []) with data.catalog.models as catalog
}

test_another_model_is_usable_where_it_is_granted_and_deployed if {
	usable("bird", "small")
	not usable("bird", "none")
	not usable("fish", "large")
	not usable("gone", "large")
	deployed := object.union(catalog, {"fish": {"upstreams": {"blue": "blue-fish"}}})
	request := call("large", "infer", [])
	models.usable("fish") with input as request with data.catalog.models as deployed
	other := json.patch(request, [{"op": "add", "path": "/identity/models", "value": ["bird"]}])
	not models.usable("fish") with input as other with data.catalog.models as deployed
	models.usable("bird") with input as other with data.catalog.models as deployed
}
