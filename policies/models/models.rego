# METADATA
# title: Who may call which model, and how
# description: |
#   A model lists grants for each operation. A grant names tiers, and may narrow them to roles and to tenants; one grant
#   that holds is enough. A model is there for a tenant when it names the tenant's upstream; the first entry of
#   `role_upstreams` whose role a caller of that tenant has sends him to another one.
package models

reasons contains "unknown_model" if not model

reasons contains "not_granted" if {
	model
	not permitted
}

reasons contains "not_deployed" if {
	model
	not upstream
}

reasons contains "not_of_credential" if {
	model
	not within_credential
}

model := data.catalog.models[input.route.model]

within_credential if of_credential(input.route.model)

permitted if granted(input.route.model)

upstream := upstream_of(input.route.model)

# What may serve instead of the model that was asked for.
usable(name) if {
	granted(name)
	of_credential(name)
	upstream_of(name)
}

# A credential that names models is good for these only, and one that names none of them for none.
of_credential(_) if not input.identity.models

of_credential(name) if name in input.identity.models

# Roles are words of the caller's own tenant: they choose nothing in another one.
upstream_of(name) := chosen if {
	entries := data.catalog.models[name].role_upstreams[input.route.tenant]
	input.identity.tenant == input.route.tenant
	chosen := [entry.upstream | some entry in entries; entry.role in input.identity.roles][0]
} else := data.catalog.models[name].upstreams[input.route.tenant]

granted(name) if {
	some grant in data.catalog.models[name].grants[input.route.operation]
	input.identity.tier in grant.tiers
	open_to_roles(grant)
	open_to_tenants(grant)
}

open_to_roles(grant) if object.get(grant, "roles", "any") == "any"

open_to_roles(grant) if {
	some role in input.identity.roles
	role in grant.roles
}

open_to_tenants(grant) if object.get(grant, "tenants", "any") == "any"

open_to_tenants(grant) if input.identity.tenant in grant.tenants
