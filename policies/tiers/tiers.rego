# METADATA
# title: Which tiers there are, and whose they are
# description: A caller's tier must be one of the catalog's and one that the caller's tenant has.
package tiers

reasons contains "unknown_tier" if not known_tier

reasons contains "tier_not_of_tenant" if {
	known_tier
	not tenant_has_tier
}

known_tier if data.catalog.tiers[input.identity.tier]

tenant_has_tier if input.identity.tier in data.catalog.tenants[input.identity.tenant].tiers
