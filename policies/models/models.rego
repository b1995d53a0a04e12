# METADATA
# title: Who may call which model, and how
# description: |
#   A model lists grants for each operation. A grant names tiers, and may narrow them to roles and to tenants; one grant
#   that holds is enough. A model is there for a tenant when it names the tenant's upstream.
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

model := data.catalog.models[input.route.model]

upstream := model.upstreams[input.route.tenant]

permitted if {
	some grant in model.grants[input.route.operation]
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
