# METADATA
# title: What one request costs
# description: |
#   A request, its bytes, a fixed number, or what its model may use at the most: the estimate of its prompt, and as many
#   tokens of output as the least of the caps of request, model and tier allows, for each candidate. Integers throughout;
#   a price is rounded up once.
package limits.costs

import data.limits.sizes

cost(limit, _) := 1 if limit.cost == "request"

cost(limit, _) := limit.cost if is_number(limit.cost)

cost(limit, _) := input.request.size.bytes if {
	limit.cost == "body_bytes"
	input.request.size.known == true
}

cost(limit, model) := used(limit, model, output(model)) if limit.cost in {"estimated_tokens", "estimated_price"}

# Of what is settled by use the prompt is used in any case.
reserve(limit, model) := {"reserve": held} if {
	held := object.union(limit.reserve, {"at_least": used(limit, model, 0)})
} else := object.filter(limit, ["reserve"])

prices(limit, model) := {"prices": data.catalog.prices[model]} if priced(limit)

prices(limit, _) := {} if not priced(limit)

priced(limit) if limit.cost == "estimated_price"

priced(limit) if {
	limit.unit == "nano_usd"
	limit.reserve
}

# Tokens count once each where no weights are named.
used(limit, _, tokens) := input.inference.estimated_prompt_tokens + tokens if {
	limit.cost == "estimated_tokens"
	not limit.weights
}

used(limit, _, tokens) := weighed(limit.weights, tokens) if limit.cost == "estimated_tokens"

used(limit, model, tokens) := (parts + rest) / 1000000 if {
	limit.cost == "estimated_price"
	parts := weighed(data.catalog.prices[model], tokens)
	rest := (1000000 - (parts % 1000000)) % 1000000
}

weighed(rates, tokens) := (input.inference.estimated_prompt_tokens * rates.input) + (tokens * rates.output)

output(model) := candidates * min([
	object.get(input.inference, "max_tokens", uncapped),
	object.get(data.catalog.models[model], "max_output_tokens", uncapped),
	object.get(data.catalog.tiers[sizes.tier], "max_output_tokens", uncapped),
])

default candidates := 1

candidates := input.inference.candidates

# Above what a charge may cost.
uncapped := 9007199254740992
