package limits.costs_test

import data.limits.costs

catalog := {
	"models": {"big": {"max_output_tokens": 100}, "open": {}},
	"tiers": {"free": {"max_output_tokens": 40}, "gold": {}},
	"prices": {"big": {"input": 150000, "cached": 75000, "output": 600001}},
}

asked(inference) := {"identity": {"kind": "jwt", "tier": "gold"}, "inference": inference}

tokens := {"unit": "tokens", "cost": "estimated_tokens"}

price := {"unit": "nano_usd", "cost": "estimated_price"}

test_a_request_and_a_number_cost_what_they_say if {
	costs.cost({"cost": "request"}, "big") == 1
	costs.cost({"cost": 7}, "big") == 7
	costs.cost({"cost": 0}, "big") == 0
}

test_bytes_are_those_of_the_payload if {
	costs.cost({"cost": "body_bytes"}, "") == 12 with input as {"request": {"size": {"known": true, "bytes": 12}}}
	every size in [{"known": false, "at_least": 5}, {"known": false, "bytes": 5}, {}, null] {
		not costs.cost({"cost": "body_bytes"}, "") with input as {"request": {"size": size}}
	}
}

test_an_unheard_of_cost_is_none if {
	every cost in ["requests", "", null, true] {
		not costs.cost({"cost": cost}, "big") with input as asked({"estimated_prompt_tokens": 1}) with data.catalog as catalog
	}
	not costs.cost({}, "big")
}

test_tokens_are_prompt_and_least_cap_for_each_candidate if {
	every pair in [
		[{"estimated_prompt_tokens": 5}, 105],
		[{"estimated_prompt_tokens": 5, "max_tokens": 20}, 25],
		[{"estimated_prompt_tokens": 5, "max_tokens": 200}, 105],
		[{"estimated_prompt_tokens": 5, "max_tokens": 20, "candidates": 3}, 65],
		[{"estimated_prompt_tokens": 5, "max_tokens": 0}, 5],
	] {
		costs.cost(tokens, "big") == pair[1] with input as asked(pair[0]) with data.catalog as catalog
	}
	free := object.union(asked({"estimated_prompt_tokens": 5}), {"identity": {"tier": "free"}})
	costs.cost(tokens, "big") == 45 with input as free with data.catalog as catalog
	costs.cost(tokens, "open") == 45 with input as free with data.catalog as catalog
}

test_no_charge_can_cost_what_is_not_capped if {
	cost := costs.cost(tokens, "open") with input as asked({"estimated_prompt_tokens": 5}) with data.catalog as catalog
	cost > 9007199254740991
}

test_tokens_of_an_unread_prompt_or_an_unknown_model_or_tier_are_none if {
	not costs.cost(tokens, "big") with input as asked({"max_tokens": 5}) with data.catalog as catalog
	not costs.cost(tokens, "gone") with input as asked({"estimated_prompt_tokens": 5}) with data.catalog as catalog
	nobody := {"identity": {"kind": "jwt"}, "inference": {"estimated_prompt_tokens": 5}}
	not costs.cost(tokens, "big") with input as nobody with data.catalog as catalog
	not costs.cost(tokens, "big") with input as {"identity": {"tier": "gold"}} with data.catalog as catalog
}

test_weights_count if {
	weighted := object.union(tokens, {"weights": {"input": 2, "output": 3}})
	costs.cost(weighted, "big") == 70 with input as asked({"estimated_prompt_tokens": 5, "max_tokens": 20})
		with data.catalog as catalog
}

test_a_price_is_rounded_up_once if {
	every pair in [[[0, 0], 0], [[1, 0], 1], [[20, 0], 3], [[0, 1], 1], [[1000000, 5], 150004], [[5, 20], 13]] {
		inference := {"estimated_prompt_tokens": pair[0][0], "max_tokens": pair[0][1]}
		costs.cost(price, "big") == pair[1] with input as asked(inference) with data.catalog as catalog
	}
	not costs.cost(price, "open") with input as asked({"estimated_prompt_tokens": 5, "max_tokens": 2})
		with data.catalog as catalog
}

test_of_a_reservation_the_prompt_is_kept if {
	request := asked({"estimated_prompt_tokens": 20, "max_tokens": 20})
	held := {"reserve": {"ttl_seconds": 60}}
	costs.reserve(object.union(tokens, held), "big") == {"reserve": {"ttl_seconds": 60, "at_least": 20}}
		with input as request
		with data.catalog as catalog
	costs.reserve(object.union(price, held), "big") == {"reserve": {"ttl_seconds": 60, "at_least": 3}}
		with input as request
		with data.catalog as catalog
	costs.reserve(object.union({"cost": "request"}, held), "big") == held with input as request
	costs.reserve(tokens, "big") == {} with input as request with data.catalog as catalog
}

test_money_that_is_settled_or_estimated_has_prices if {
	prices := {"prices": catalog.prices.big}
	costs.prices(price, "big") == prices with data.catalog as catalog
	held := {"unit": "nano_usd", "cost": 5, "reserve": {"ttl_seconds": 60}}
	costs.prices(held, "big") == prices with data.catalog as catalog
	costs.prices({"unit": "nano_usd", "cost": 5}, "big") == {} with data.catalog as catalog
	costs.prices(object.union(tokens, {"reserve": {}}), "big") == {} with data.catalog as catalog
	not costs.prices(price, "open") with data.catalog as catalog
	not costs.prices(held, "open") with data.catalog as catalog
}
