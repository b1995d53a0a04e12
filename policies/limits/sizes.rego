# METADATA
# title: How much there is for whom
# description: |
#   A size is a number, or one by tier or by model; `unlimited` is counted and never enforced. While an override of the
#   limit holds for the caller its size and burst stand instead: of several the one that names more, then the smaller.
package limits.sizes

# A size that is simply a number.
plain(limit, model) := size if {
	size := chosen(limit.size, model)
	is_number(size)
}

# All that a charge says of its size.
amounts(name, model) := object.union(size_of(name, overriding.size), burst_of(overriding, model)) if {
	overriding := strongest(name, model)
} else := object.union(size_of(name, chosen(limit.size, model)), burst_of(limit, model)) if {
	limit := data.catalog.limits[name]
}

size_of(_, size) := {"limit": size} if is_number(size)

size_of(name, "unlimited") := {"limit": most(data.catalog.limits[name]), "mode": "shadow"}

burst_of(sized, model) := {"burst": chosen(sized.burst, model)} if sized.burst

burst_of(sized, _) := {} if not sized.burst

# A rate's arithmetic counts parts of a unit, one for each millisecond of its period, and stays below 2^53.
most(limit) := 4503599627370496 if limit.kind != "rate"

most(limit) := (4503599627370496 - (4503599627370496 % parts)) / parts if {
	limit.kind == "rate"
	parts := limit.per_seconds * 1000
}

chosen(value, model) := size if {
	size := value.by_model[model]
} else := size if {
	size := value.by_tier[tier]
} else := value if {
	not is_object(value)
}

# A service has no tier of its own.
default tier := ""

tier := input.identity.tier if input.identity.kind != "mtls"

tier := "internal" if input.identity.kind == "mtls"

strongest(name, model) := min([
[0 - count(override.for), override.size, object.get(override, "burst", override.size), override] |
	some override in data.catalog.overrides[name]
	concerns(override, model)
	time.now_ns() < time.parse_rfc3339_ns(override.until)
])[3]

concerns(override, model) if {
	every dimension, value in override.for {
		value == value_of(dimension, model)
	}
}

value_of("model", model) := model

value_of("tenant", _) := input.identity.tenant

value_of("key_id", _) := input.identity.key_id

value_of("subject", _) := input.identity.subject

value_of("issuer", _) := input.identity.issuer

value_of("method", _) := input.request.method

value_of("country", _) := input.network.country

value_of("address", _) := input.network.client_ip
