package tenancy.test

import data.tenancy

tenants := {"blue": {"open_to_tiers": ["internal"]}, "green": {"open_to_tiers": []}}

call(from, tier, to) := {"identity": {"tenant": from, "tier": tier}, "route": {"tenant": to}}

test_own_tenant_has_no_reason if {
	tenancy.reasons == set() with input as call("green", "free", "green") with data.catalog.tenants as tenants
}

test_other_tenant_is_refused if {
	tenancy.reasons == {"other_tenant"} with input as call("blue", "internal", "green")
		with data.catalog.tenants as tenants
}

test_invited_tier_may_cross if {
	tenancy.reasons == set() with input as call("green", "internal", "blue") with data.catalog.tenants as tenants
}

test_uninvited_tier_may_not_cross if {
	tenancy.reasons == {"other_tenant"} with input as call("green", "free", "blue") with data.catalog.tenants as tenants
}

test_tenant_that_says_nothing_is_closed if {
	tenancy.reasons == {"other_tenant"} with input as call("green", "internal", "blue")
		with data.catalog.tenants as {"blue": {}, "green": {}}
}

test_unknown_tenants_are_refused if {
	every pair in [["red", "green"], ["green", "red"], ["red", "red"], ["", ""]] {
		tenancy.reasons == {"unknown_tenant"} with input as call(pair[0], "internal", pair[1])
			with data.catalog.tenants as tenants
	}
}

test_absent_tenants_are_refused if {
	every request in [
		{},
		{"identity": {"tenant": "green"}, "route": null},
		{"identity": {"tenant": "green"}, "route": {}},
		{"identity": {"kind": "jwt"}, "route": {"tenant": "green"}},
	] {
		tenancy.reasons == {"unknown_tenant"} with input as request with data.catalog.tenants as tenants
	}
}

hosts := {"blue.test": "blue", "green.test": "green", "red.test": null}

at_host(host, tenant) := object.union(call(tenant, "free", tenant), {"request": {"host": host}})

test_host_of_the_tenant_has_no_reason if {
	every pair in [["blue.test", "blue"], ["green.test", "green"], ["any.test", "blue"], ["any.test", "green"]] {
		tenancy.reasons == set() with input as at_host(pair[0], pair[1])
			with data.catalog.tenants as tenants
			with data.catalog.hosts as hosts
	}
}

test_host_of_another_tenant_is_refused if {
	every pair in [["blue.test", "green"], ["green.test", "blue"], ["red.test", "blue"]] {
		tenancy.reasons == {"other_host"} with input as at_host(pair[0], pair[1])
			with data.catalog.tenants as tenants
			with data.catalog.hosts as hosts
	}
}

test_host_must_agree_with_the_path_also_where_the_tier_may_cross if {
	request := object.union(call("green", "internal", "blue"), {"request": {"host": "green.test"}})
	tenancy.reasons == {"other_host"} with input as request
		with data.catalog.tenants as tenants
		with data.catalog.hosts as hosts
}

test_host_of_a_tenant_takes_no_request_without_one if {
	request := {"identity": {"tenant": "blue"}, "route": {}, "request": {"host": "blue.test"}}
	tenancy.reasons == {"other_host", "unknown_tenant"} with input as request
		with data.catalog.tenants as tenants
		with data.catalog.hosts as hosts
}

test_absent_host_has_no_reason if {
	tenancy.reasons == set() with input as call("blue", "free", "blue")
		with data.catalog.tenants as tenants
		with data.catalog.hosts as hosts
}

test_shipped_tenants_are_closed_to_each_other if {
	every tier in object.keys(data.catalog.tiers) {
		tenancy.reasons == {"other_tenant"} with input as call("tenant-a", tier, "tenant-b")
		tenancy.reasons == {"other_tenant"} with input as call("tenant-b", tier, "tenant-a")
	}
}
