# METADATA
# title: Whose requests these are
# description: |
#   A request stays inside the tenant of its caller. The tier of a caller may lead into another tenant only where that
#   tenant's own data says so (`open_to_tiers`). A host that names a tenant (`catalog.hosts`) takes no other's requests.
package tenancy

reasons contains "unknown_tenant" if not known_tenant

reasons contains "other_tenant" if {
	known_tenant
	not within_own_tenant
	not invited
}

reasons contains "other_host" if {
	host_tenant := data.catalog.hosts[input.request.host]
	not host_tenant == input.route.tenant
}

known_tenant if {
	data.catalog.tenants[input.identity.tenant]
	data.catalog.tenants[input.route.tenant]
}

within_own_tenant if input.identity.tenant == input.route.tenant

invited if input.identity.tier in data.catalog.tenants[input.route.tenant].open_to_tiers
