package tiers.test

import data.tiers

catalog := {
	"tiers": {"small": {}, "large": {}},
	"tenants": {"blue": {"tiers": ["small", "vanished"]}, "green": {}},
}

caller(tenant, tier) := {"identity": {"tenant": tenant, "tier": tier}}

test_tier_of_the_tenant_has_no_reason if {
	tiers.reasons == set() with input as caller("blue", "small") with data.catalog as catalog
}

test_tier_that_the_tenant_has_not_is_refused if {
	tiers.reasons == {"tier_not_of_tenant"} with input as caller("blue", "large") with data.catalog as catalog
	tiers.reasons == {"tier_not_of_tenant"} with input as caller("green", "small") with data.catalog as catalog
	tiers.reasons == {"tier_not_of_tenant"} with input as caller("red", "small") with data.catalog as catalog
}

test_unknown_tier_is_refused if {
	tiers.reasons == {"unknown_tier"} with input as caller("blue", "vanished") with data.catalog as catalog
	tiers.reasons == {"unknown_tier"} with input as caller("blue", "") with data.catalog as catalog
}

test_absent_tier_is_refused if {
	tiers.reasons == {"unknown_tier"} with input as {"identity": {"tenant": "blue"}} with data.catalog as catalog
	tiers.reasons == {"unknown_tier"} with input as {} with data.catalog as catalog
}

test_shipped_tiers_are_known if {
	every tier in ["free", "premium", "internal"] {
		tiers.reasons == set() with input as caller("tenant-a", tier)
	}
}
