# METADATA
# title: What a request is charged
# description: |
#   Makes charges of the terms in `catalog.limits`: one for each limit that the matched route names and, of a service,
#   for each that `catalog.services` names. What has no size, cost or price for this caller is left out, which denies.
#   A model with a `fallback` gives further plans, for the models that the caller may use instead of it; a limit that is
#   shared fairly gives two for each model: out of what the tenant is guaranteed, then out of what is common to all.
package limits

import data.limits.costs
import data.limits.fairness
import data.limits.sizes
import data.mesh
import data.models

charges := anonymous_charges if {
	input.identity.kind == "anonymous"
} else := {"plans": plans} if {
	several_plans
} else := [charge(name, requested) | some name in required]

# The model that the taken plan is for.
served := model_of_plan[taken_plan] if degradable

served := requested if not degradable

# A list, for its order is that of the charges.
required := array.concat(of_route, sort(of_service))

of_route := [name |
	some route in data.catalog.routes
	route.name == input.route.name
	some name in route.limits
]

of_service contains name if {
	input.identity.kind == "mtls"
	some service in mesh.services
	some name in data.catalog.services[service].limits
	not name in of_route
}

# No model has this name.
default requested := ""

requested := input.route.model

# The anonymous pass with a preflight alone, and use up nothing that callers have: they are charged by address, or not.
anonymous_charges := [anonymous_charge(name, data.catalog.limits[name].key) | some name in required]

anonymous_charge(name, key) := charge(name, requested) if {
	"address" in key
} else := nothing(name) if {
	not "address" in key
}

nothing(name) := {
	"name": name,
	"key": [],
	"unit": "requests",
	"kind": "rate",
	"limit": 1,
	"per_seconds": 1,
	"cost": 0,
	"scope": "shared",
}

several_plans if degradable

several_plans if shared_fairly

degradable if {
	data.catalog.models[requested].fallback
	input.identity.kind != "mtls"
}

shared_fairly if {
	some name in required
	data.catalog.limits[name].fair
}

# Lists, because sets of charges cost much more time.
plans := [plan |
	some model in candidates
	whole := [charge(name, model) | some name in required]
	some share in shares
	plan := [fairness.part(charge, share) | some charge in whole]
]

model_of_plan := [model |
	some model in candidates
	some _ in shares
]

# Where no plan was taken nothing passes, but where nothing is metered.
default taken_plan := 0

taken_plan := input.quota.plan

candidates := array.concat([requested], [model | some model in fallbacks; models.usable(model)])

# As far as three; the data is at fault where there is a fourth.
fallbacks := array.concat(first, array.concat(second, third)) if {
	first := behind([requested])
	second := behind(first)
	third := behind(second)
}

behind(last) := [data.catalog.models[model].fallback | some model in last]

shares := ["guaranteed", "common"] if {
	shared_fairly
	data.catalog.tenants[input.identity.tenant]
} else := ["common"]

# Most limits have these seven terms; more of them cost more time.
charge(name, model) := {
	"name": name,
	"key": key(limit),
	"unit": limit.unit,
	"kind": limit.kind,
	"per_seconds": limit.per_seconds,
	"scope": limit.scope,
	"limit": sizes.plain(limit, model),
	"cost": costs.cost(limit, model),
} if {
	limit := data.catalog.limits[name]
	count(limit) - count(object.get(limit, "fair", {})) == 7
	not data.catalog.overrides[name]
	model == requested
} else := object.union_n([
	object.remove(limit, ["size", "fair", "service_key"]),
	{"name": name, "key": key(limit), "cost": costs.cost(limit, model)},
	sizes.amounts(name, model),
	costs.reserve(limit, model),
	costs.prices(limit, model),
	other_model(model),
]) if {
	limit := data.catalog.limits[name]
}

key(limit) := limit.service_key if {
	input.identity.kind == "mtls"
} else := limit.key

other_model(model) := {} if {
	model == requested
} else := {"model": model}
