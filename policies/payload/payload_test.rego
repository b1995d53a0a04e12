package payload.test

import data.payload

tiers := {
	"small": {"max_bytes": 100},
	"text": {"max_bytes": "100"},
	"null": {"max_bytes": null},
	"open": {"unbounded": true},
	"mistaken": {"unbounded": "yes"},
	"silent": {},
}

call(tier, size) := {"identity": {"tier": tier}, "request": {"size": size}}

known(bytes) := {"known": true, "bytes": bytes}

unknown := {"known": false, "at_least": 0}

test_size_within_the_tier_has_no_reason if {
	every bytes in [0, 99, 100] {
		payload.reasons == set() with input as call("small", known(bytes)) with data.catalog.tiers as tiers
	}
}

test_size_over_the_tier_is_refused if {
	payload.reasons == {"payload_too_large"} with input as call("small", known(101)) with data.catalog.tiers as tiers
}

test_unknown_size_is_refused_on_a_bounded_tier if {
	payload.reasons == {"payload_size_unknown"} with input as call("small", unknown) with data.catalog.tiers as tiers
}

test_absent_size_is_refused_on_a_bounded_tier if {
	payload.reasons == {"payload_size_unknown"} with input as {"identity": {"tier": "small"}, "request": {}}
		with data.catalog.tiers as tiers
	payload.reasons == {"payload_size_unknown"} with input as {} with data.catalog.tiers as tiers
}

test_size_that_is_no_number_is_refused if {
	every bytes in [null, "1", false, []] {
		payload.reasons == {"payload_too_large"} with input as call("small", known(bytes)) with data.catalog.tiers as tiers
	}
	payload.reasons == {"payload_too_large"} with input as call("small", {"known": true}) with data.catalog.tiers as tiers
}

test_unbounded_tier_takes_any_size if {
	payload.reasons == set() with input as call("open", known(1000000000)) with data.catalog.tiers as tiers
	payload.reasons == set() with input as call("open", unknown) with data.catalog.tiers as tiers
}

test_tier_without_a_clear_limit_is_bounded_by_nothing_sent if {
	every tier in ["text", "null", "mistaken", "silent", "unheard of"] {
		payload.reasons == {"payload_too_large"} with input as call(tier, known(1)) with data.catalog.tiers as tiers
	}
}

test_shipped_free_tier_takes_64_kib if {
	payload.reasons == set() with input as call("free", known(65536))
	payload.reasons == {"payload_too_large"} with input as call("free", known(65537))
}
