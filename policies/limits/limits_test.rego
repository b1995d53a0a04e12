package limits.test

import data.limits

calls := {
	"key": ["principal", "method"],
	"unit": "requests",
	"kind": "rate",
	"per_seconds": 1,
	"scope": "tenant",
	"cost": "request",
	"size": 10,
}

by_address := object.union(calls, {"key": ["address"], "scope": "shared"})

shared := object.union(calls, {"key": ["route", "method"], "scope": "shared", "size": 100, "fair": {"guaranteed_percent": 50}})

tokens := {
	"key": ["tenant", "model"],
	"unit": "tokens",
	"kind": "window",
	"calendar": "month",
	"zone": "Europe/Berlin",
	"scope": "tenant",
	"cost": "estimated_tokens",
	"reserve": {"ttl_seconds": 60, "on_expiry": "release"},
	"weights": {"input": 1, "output": 3},
	"mode": "shadow",
	"on_failure": "deny",
	"charge": "always",
	"size": 1000,
}

money := {
	"key": ["tenant"],
	"unit": "nano_usd",
	"kind": "window",
	"calendar": "day",
	"zone": "UTC",
	"scope": "tenant",
	"cost": "estimated_price",
	"size": 1000000,
}

grant := {"chat": [{"tiers": ["gold"]}]}

catalog := {
	"routes": [
		{"name": "chat", "limits": ["calls"]},
		{"name": "both", "limits": ["calls", "tokens"]},
		{"name": "shared", "limits": ["calls", "shared"]},
		{"name": "money", "limits": ["money"]},
		{"name": "preflight", "limits": ["by-address", "calls"]},
		{"name": "gone", "limits": ["calls", "gone"]},
		{"name": "none", "limits": []},
	],
	"limits": {"calls": calls, "tokens": tokens, "shared": shared, "money": money, "by-address": by_address},
	"tenants": {"blue": {}, "green": {"weight": 3}},
	"total_weight": 4,
	"tiers": {"gold": {}},
	"prices": {
		"big": {"input": 3000000, "cached": 1, "output": 5000000},
		"small": {"input": 1000000, "cached": 1, "output": 2000000},
	},
	"models": {
		"big": {"fallback": "small", "max_output_tokens": 10, "grants": grant, "upstreams": {"blue": "blue-big"}},
		"small": {"fallback": "tiny", "max_output_tokens": 10, "grants": grant, "upstreams": {"blue": "blue-small"}},
		"tiny": {"fallback": "last", "max_output_tokens": 10, "grants": {}, "upstreams": {"blue": "blue-tiny"}},
		"last": {"max_output_tokens": 10, "grants": grant, "upstreams": {"blue": "blue-last"}},
		"plain": {"max_output_tokens": 10, "grants": grant, "upstreams": {"blue": "blue-plain"}},
	},
	"services": {
		"web": {"spiffe_ids": ["spiffe://td/web"], "limits": ["by-address"]},
		"batch": {"spiffe_ids": ["spiffe://td/batch"], "limits": ["shared"]},
	},
}

call(route, model) := {
	"request": {"method": "POST"},
	"route": {"name": route, "tenant": "blue", "model": model, "operation": "chat"},
	"identity": {"kind": "jwt", "tenant": "blue", "tier": "gold", "roles": []},
	"inference": {"estimated_prompt_tokens": 5},
}

changed(request, path, value) := json.patch(request, [{"op": "add", "path": path, "value": value}])

call_charge := {
	"name": "calls",
	"key": ["principal", "method"],
	"unit": "requests",
	"kind": "rate",
	"per_seconds": 1,
	"scope": "tenant",
	"limit": 10,
	"cost": 1,
}

token_charge := {
	"name": "tokens",
	"key": ["tenant", "model"],
	"unit": "tokens",
	"kind": "window",
	"calendar": "month",
	"zone": "Europe/Berlin",
	"scope": "tenant",
	"limit": 1000,
	"cost": 35,
	"reserve": {"ttl_seconds": 60, "on_expiry": "release", "at_least": 5},
	"weights": {"input": 1, "output": 3},
	"mode": "shadow",
	"on_failure": "deny",
	"charge": "always",
}

common_charge := object.union(call_charge, {"name": "shared", "key": ["route", "method"], "limit": 50, "scope": "shared"})

own_charge := object.union(call_charge, {"name": "shared", "key": ["route", "method", "tenant"], "limit": 12})

test_each_limit_of_the_route_is_charged_by_its_terms if {
	limits.charges == [call_charge] with input as call("chat", "plain") with data.catalog as catalog
	limits.charges == [call_charge, token_charge] with input as call("both", "plain") with data.catalog as catalog
}

test_a_concurrency_limit_and_one_with_few_terms_are_whole if {
	at_once := {"ttl_seconds": 60, "on_expiry": "release"}
	few := object.union(object.remove(calls, ["per_seconds"]), {"kind": "concurrency", "reserve": at_once})
	charges := limits.charges with input as call("chat", "plain") with data.catalog as catalog
		with data.catalog.limits as {"calls": few}
	charges == [object.union(
		object.remove(call_charge, ["per_seconds"]),
		{"kind": "concurrency", "reserve": at_once},
	)]
}

test_a_burst_and_a_mode_are_told if {
	more := object.union(calls, {"burst": 20})
	burst := limits.charges with input as call("chat", "plain") with data.catalog as catalog
		with data.catalog.limits as {"calls": more}
	burst == [object.union(call_charge, {"burst": 20})]
	mode := limits.charges with input as call("chat", "plain") with data.catalog as catalog
		with data.catalog.limits as {"calls": object.union(calls, {"mode": "shadow"})}
	mode == [object.union(call_charge, {"mode": "shadow"})]
}

test_routes_without_limits_and_requests_without_route_are_charged_nothing if {
	every route in ["none", "unheard of"] {
		limits.charges == [] with input as call(route, "plain") with data.catalog as catalog
	}
	limits.charges == [] with input as {} with data.catalog as catalog
	limits.charges == [] with input as {"route": null} with data.catalog as catalog
}

test_a_route_without_a_model_is_charged if {
	request := json.remove(call("chat", ""), ["/route/model"])
	limits.charges == [call_charge] with input as request with data.catalog as catalog
	limits.served == "" with input as request with data.catalog as catalog
}

test_a_limit_without_terms_or_cost_is_left_out if {
	limits.charges == [call_charge] with input as call("gone", "plain") with data.catalog as catalog
	unread := json.remove(call("both", "plain"), ["/inference"])
	limits.charges == [call_charge] with input as unread with data.catalog as catalog
	limits.charges == [] with input as call("money", "plain") with data.catalog as catalog
}

test_a_limit_of_another_size_for_this_model_is_told if {
	request := call("chat", "plain")
	override := {"for": {"model": "plain"}, "until": "2200-01-01T00:00:00Z", "size": 3}
	charges := limits.charges with input as request with data.catalog as catalog
		with data.catalog.overrides as {"calls": [override]}
	charges == [object.union(call_charge, {"limit": 3})]
}

test_the_anonymous_are_charged_by_address_or_nothing if {
	request := changed(call("preflight", "plain"), "/identity", {"kind": "anonymous"})
	charges := limits.charges with input as request with data.catalog as catalog
	charges == [object.union(call_charge, {"name": "by-address", "key": ["address"], "scope": "shared"}), {
		"name": "calls",
		"key": [],
		"unit": "requests",
		"kind": "rate",
		"limit": 1,
		"per_seconds": 1,
		"cost": 0,
		"scope": "shared",
	}]
}

test_the_anonymous_are_not_charged_nothing_where_a_limit_cannot_be_made if {
	request := changed(call("preflight", "plain"), "/identity", {"kind": "anonymous"})
	charges := limits.charges with input as request with data.catalog as catalog
		with data.catalog.limits as {"by-address": object.remove(by_address, ["size"])}
	charges == []
}

test_the_anonymous_have_no_second_plan if {
	request := changed(call("shared", "big"), "/identity/kind", "anonymous")
	charges := limits.charges with input as request with data.catalog as catalog
	{charge.cost | some charge in charges} == {0}
}

test_callers_by_address_are_charged_in_full if {
	charges := limits.charges with input as call("preflight", "plain") with data.catalog as catalog
	{charge.cost | some charge in charges} == {1}
}

web := object.union(call("chat", "plain"), {
	"identity": {"kind": "mtls", "roles": []},
	"peer": {"spiffe_id": "spiffe://td/web", "dns_sans": []},
})

test_a_service_is_charged_for_its_own_limits_too if {
	charges := limits.charges with input as web with data.catalog as catalog
	{charge.name | some charge in charges} == {"calls", "by-address"}
	user := limits.charges with input as object.union(web, {"identity": {"kind": "jwt"}}) with data.catalog as catalog
	{charge.name | some charge in user} == {"calls"}
}

test_a_limit_of_route_and_service_is_charged_once if {
	charges := limits.charges with input as web with data.catalog as catalog
		with data.catalog.services.web.limits as ["calls", "by-address", "by-address"]
	[charge.name | some charge in charges] == ["calls", "by-address"]
}

test_a_service_has_a_key_of_its_own_where_the_limit_names_one if {
	keyed := {"calls": object.union(calls, {"service_key": ["peer"]}), "by-address": by_address}
	charges := limits.charges with input as web with data.catalog as catalog with data.catalog.limits as keyed
	[charge.key | some charge in charges; charge.name == "calls"] == [["peer"]]
	not "service_key" in object.keys(charges[0])
	user := limits.charges with input as call("chat", "plain") with data.catalog as catalog
		with data.catalog.limits as keyed
	user == [call_charge]
}

test_a_service_is_not_served_by_another_model if {
	charges := limits.charges with input as object.union(web, {"route": {"model": "big"}}) with data.catalog as catalog
	is_array(charges)
}

test_a_limit_that_is_shared_fairly_gives_two_plans if {
	charges := limits.charges with input as call("shared", "plain") with data.catalog as catalog
	charges == {"plans": [[call_charge, own_charge], [call_charge, common_charge]]}
}

test_only_tenants_of_the_catalog_are_guaranteed_a_share if {
	every tenant in ["red", null] {
		request := changed(call("shared", "plain"), "/identity/tenant", tenant)
		charges := limits.charges with input as request with data.catalog as catalog
		charges == {"plans": [[call_charge, common_charge]]}
	}
}

test_a_model_with_a_fallback_gives_a_plan_for_each_that_may_serve if {
	charges := limits.charges with input as call("money", "big") with data.catalog as catalog
	asked := {
		"name": "money",
		"key": ["tenant"],
		"unit": "nano_usd",
		"kind": "window",
		"calendar": "day",
		"zone": "UTC",
		"scope": "tenant",
		"limit": 1000000,
		"cost": 65,
		"prices": catalog.prices.big,
	}
	small := object.union(object.remove(asked, ["prices"]), {
		"cost": 25,
		"prices": catalog.prices.small,
		"model": "small",
	})

	# `tiny` is not granted; `last` is, and has no price.
	charges == {"plans": [[asked], [small], []]}
}

test_plans_of_models_are_told_apart_by_short_limits_too if {
	charges := limits.charges with input as call("shared", "small") with data.catalog as catalog
	charges == {"plans": [
		[call_charge, own_charge],
		[call_charge, common_charge],
		[object.union(call_charge, {"model": "last"}), object.union(own_charge, {"model": "last"})],
		[object.union(call_charge, {"model": "last"}), object.union(common_charge, {"model": "last"})],
	]}
}

test_the_plan_tells_which_model_serves if {
	every pair in [[0, "big"], [1, "big"], [2, "small"], [3, "small"], [4, "last"], [5, "last"]] {
		request := changed(call("shared", "big"), "/quota", {"plan": pair[0]})
		limits.served == pair[1] with input as request with data.catalog as catalog
	}
	limits.served == "big" with input as call("shared", "big") with data.catalog as catalog
	untaken := changed(call("shared", "big"), "/quota", {"taken": false})
	limits.served == "big" with input as untaken with data.catalog as catalog
	without := changed(call("shared", "plain"), "/quota", {"plan": 1})
	limits.served == "plain" with input as without with data.catalog as catalog
}

test_no_model_serves_a_plan_that_there_is_not if {
	request := changed(call("shared", "big"), "/quota", {"plan": 6})
	not limits.served with input as request with data.catalog as catalog
}
