# METADATA
# title: Sharing between tenants
# description: |
#   Of a limit that is shared fairly a percentage is guaranteed, to each tenant as its weight is to all weights; the rest
#   is common to all. Shares are rounded down, so that together they never exceed the limit. A tenant whose share is less
#   than one has what is common. Other limits are whole in every plan.
package limits.fairness

part(charge, share) := object.union(charge, {
	"key": array.concat(charge.key, ["tenant"]),
	"scope": "tenant",
	"limit": own,
}) if {
	share == "guaranteed"
	parts := (percent(charge) * charge.limit) * weight
	own := downwards(parts, 100 * all_weights)
	own > 0
} else := object.union(charge, {"limit": charge.limit - downwards(percent(charge) * charge.limit, 100)}) if {
	percent(charge)
} else := charge

percent(charge) := data.catalog.limits[charge.name].fair.guaranteed_percent

downwards(parts, whole) := (parts - (parts % whole)) / whole

default weight := 1

weight := data.catalog.tenants[input.identity.tenant].weight

# It is said where it is needed: to sum up the weights for each request costs time.
all_weights := data.catalog.total_weight
