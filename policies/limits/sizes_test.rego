package limits.sizes_test

import data.limits.sizes

rate := {"kind": "rate", "per_seconds": 60, "size": 10}

amounts(limit, overrides) := found if {
	found := sizes.amounts("l", "m") with data.catalog as {
		"limits": {"l": limit},
		"overrides": {"l": overrides},
	}
}

ahead := "2030-01-01T00:00:00Z"

now := 1800000000000000000

caller := {
	"identity": {"kind": "jwt", "tenant": "blue", "tier": "gold", "key_id": "k1", "subject": "ann", "issuer": "i"},
	"request": {"method": "POST"},
	"network": {"country": "DE", "client_ip": "192.0.2.1"},
}

overridden(overrides) := found if {
	found := amounts(rate, overrides) with input as caller with time.now_ns as now
}

test_size_is_a_number_or_one_by_tier_or_by_model if {
	amounts(rate, []) == {"limit": 10}
	by_tier := {"kind": "rate", "per_seconds": 60, "size": {"by_tier": {"gold": 5, "free": 1}}}
	amounts(by_tier, []) == {"limit": 5} with input as caller
	sizes.plain(by_tier, "m") == 5 with input as caller
	by_model := {"kind": "rate", "per_seconds": 60, "size": {"by_model": {"m": 7}}}
	amounts(by_model, []) == {"limit": 7} with input as caller
	sizes.plain(rate, "m") == 10
}

test_unnamed_tier_or_model_has_no_size if {
	every size in [{"by_tier": {"free": 1}}, {"by_model": {"n": 1}}, {}, "10", "Unlimited", null] {
		limit := {"kind": "rate", "per_seconds": 60, "size": size}
		not sizes.plain(limit, "m") with input as caller
		not amounts(limit, []) with input as caller
	}
	by_tier := {"kind": "rate", "per_seconds": 60, "size": {"by_tier": {"gold": 5}}}
	not amounts(by_tier, []) with input as {}
	not sizes.plain({}, "m")
}

test_burst_is_read_as_the_size_is if {
	amounts({"kind": "rate", "per_seconds": 1, "size": 1, "burst": 4}, []) == {"limit": 1, "burst": 4}
	by_tier := {"kind": "rate", "per_seconds": 1, "size": 1, "burst": {"by_tier": {"gold": 9}}}
	amounts(by_tier, []) == {"limit": 1, "burst": 9} with input as caller
	not amounts(by_tier, []) with input as {}
}

test_unlimited_is_counted_and_never_enforced if {
	every kind in ["window", "concurrency"] {
		amounts({"kind": kind, "size": "unlimited"}, []) == {"limit": 4503599627370496, "mode": "shadow"}
	}
	amounts({"kind": "window", "per_seconds": 60, "size": "unlimited"}, []) == {"limit": 4503599627370496, "mode": "shadow"}
	limit := {"kind": "rate", "per_seconds": 60, "size": {"by_tier": {"gold": "unlimited"}}}
	amounts(limit, []) == {"limit": 75059993789, "mode": "shadow"} with input as caller
	not sizes.plain(limit, "m") with input as caller
}

test_services_are_of_the_internal_tier if {
	sizes.tier == "internal" with input as {"identity": {"kind": "mtls"}}
	sizes.tier == "gold" with input as caller
	sizes.tier == "" with input as {"identity": {"kind": "jwt"}}
}

test_override_holds_for_whom_it_names if {
	every dimension, value in {
		"tenant": "blue", "key_id": "k1", "subject": "ann", "issuer": "i", "model": "m",
		"method": "POST", "country": "DE", "address": "192.0.2.1",
	} {
		overridden([{"for": {dimension: value}, "until": ahead, "size": 3}]) == {"limit": 3}
		overridden([{"for": {dimension: "x"}, "until": ahead, "size": 3}]) == {"limit": 10}
	}
	overridden([{"for": {"tenant": "blue", "method": "GET"}, "until": ahead, "size": 3}]) == {"limit": 10}
	overridden([{"for": {"planet": "x"}, "until": ahead, "size": 3}]) == {"limit": 10}
	overridden([{"until": ahead, "size": 3}]) == {"limit": 10}
}

test_override_ends if {
	every until in ["2020-01-01T00:00:00Z", "2027-01-15T08:00:00Z"] {
		overridden([{"for": {"tenant": "blue"}, "until": until, "size": 3}]) == {"limit": 10}
	}
	overridden([{"for": {"tenant": "blue"}, "until": "2027-01-15T08:00:01Z", "size": 3}]) == {"limit": 3}
	overridden([{"for": {"tenant": "blue"}, "size": 3}]) == {"limit": 10}
}

test_override_brings_its_own_burst if {
	burst := {"for": {"tenant": "blue"}, "until": ahead, "size": 3, "burst": 6}
	overridden([burst]) == {"limit": 3, "burst": 6}
	without := json.remove(burst, ["burst"])
	limit := object.union(rate, {"burst": 40})
	amounts(limit, [without]) == {"limit": 3} with input as caller with time.now_ns as now
}

test_override_may_be_unlimited if {
	unlimited := {"for": {"tenant": "blue"}, "until": ahead, "size": "unlimited"}
	overridden([unlimited]) == {"limit": 75059993789, "mode": "shadow"}
}

test_most_specific_override_wins_then_the_smaller if {
	wide := {"for": {"tenant": "blue"}, "until": ahead, "size": 1}
	narrow := {"for": {"tenant": "blue", "model": "m"}, "until": ahead, "size": 20}
	narrower := {"for": {"subject": "ann", "model": "m"}, "until": ahead, "size": 15}
	expired := {"for": {"tenant": "blue", "model": "m", "subject": "ann"}, "until": "2020-01-01T00:00:00Z", "size": 2}
	unlimited := {"for": {"tenant": "blue", "key_id": "k1"}, "until": ahead, "size": "unlimited"}
	every order in [[wide, narrow, narrower, expired, unlimited], [unlimited, expired, narrower, narrow, wide]] {
		overridden(order) == {"limit": 15}
	}
	bursty := object.union(narrower, {"burst": 16})
	burstier := object.union(narrower, {"burst": 17})
	overridden([burstier, bursty]) == {"limit": 15, "burst": 16}
	overridden([bursty, narrower]) == {"limit": 15}
}
