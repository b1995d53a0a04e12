package limits.fairness_test

import data.limits.fairness

charge := {"name": "shared", "key": ["route"], "limit": 101, "scope": "shared", "cost": 1}

catalog := {
	"limits": {"shared": {"fair": {"guaranteed_percent": 33}}, "whole": {}},
	"tenants": {"blue": {}, "green": {"weight": 3}, "red": {"weight": 3}},
	"total_weight": 7,
}

of(tenant) := {"identity": {"tenant": tenant}}

part(tenant, share) := found if {
	found := fairness.part(charge, share) with input as of(tenant) with data.catalog as catalog
}

test_guaranteed_share_is_the_tenants_own_by_weight if {
	part("blue", "guaranteed") == object.union(charge, {"key": ["route", "tenant"], "scope": "tenant", "limit": 4})
	part("green", "guaranteed") == object.union(charge, {"key": ["route", "tenant"], "scope": "tenant", "limit": 14})
}

test_the_rest_is_common if {
	every tenant in ["blue", "green"] {
		part(tenant, "common") == object.union(charge, {"limit": 68})
	}
}

test_all_shares_together_never_exceed_the_limit if {
	every limit in numbers.range(1, 40) {
		sized := object.union(charge, {"limit": limit})
		shares := [part.limit |
			some tenant in ["blue", "green", "red"]
			part := fairness.part(sized, "guaranteed") with input as of(tenant) with data.catalog as catalog
			part.scope == "tenant"
		]
		common := fairness.part(sized, "common") with data.catalog as catalog
		common.limit > 0
		sum(shares) + common.limit <= limit
	}
}

test_a_share_below_one_is_the_common_one if {
	small := object.union(charge, {"limit": 10})
	part := fairness.part(small, "guaranteed") with input as of("blue") with data.catalog as catalog
	part == object.union(small, {"limit": 7})
}

test_what_is_not_shared_is_whole if {
	other := object.union(charge, {"name": "whole"})
	every share in ["guaranteed", "common"] {
		fairness.part(other, share) == other with input as of("blue") with data.catalog as catalog
	}
}
