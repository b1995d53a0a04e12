# METADATA
# title: How much may be sent at once
# description: |
#   Bytes per tier. A tier either names `max_bytes` or says that it is `unbounded`; where it does neither, or where the
#   size of the payload is unknown and the tier is bounded, the request does not pass.
package payload

reasons contains "payload_too_large" if {
	bounded
	input.request.size.known == true
	not within_bounds
}

reasons contains "payload_size_unknown" if {
	bounded
	not input.request.size.known == true
}

default bounded := true

bounded := false if data.catalog.tiers[input.identity.tier].unbounded == true

within_bounds if {
	limit := data.catalog.tiers[input.identity.tier].max_bytes

	# Rego orders values of every type, so a limit written as a text would be above all numbers.
	is_number(limit)
	is_number(input.request.size.bytes)
	input.request.size.bytes <= limit
}
