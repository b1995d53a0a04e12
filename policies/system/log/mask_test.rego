package system.log.mask_test

import data.system.log

allowed := {
	"decision": "allow",
	"input": {
		"request": {"method": "POST", "path": "/tenant-a/llama-3-8b/infer"},
		"route": {"name": "infer"},
		"identity": {"subject": "alice"},
		"network": {"client_ip": "203.0.113.7"},
	},
}

unknown := {"decision": "deny", "input": {"request": {"method": "GET", "raw_path": "/what/ever"}}}

test_of_an_allow_only_the_address_goes if {
	log.mask == {"/input/network/client_ip"} with input as allowed
	not log.drop with input as allowed
}

test_a_denial_keeps_its_address if {
	not "/input/network/client_ip" in log.mask with input as object.union(allowed, {"decision": "deny"})
}

test_a_mail_address_is_replaced if {
	mailed := object.union(allowed, {"input": {"identity": {"subject": "alice@example.com"}}})
	masks := log.mask with input as mailed
	{"op": "upsert", "path": "/input/identity/subject", "value": "mail address"} in masks
}

test_an_unknown_path_goes if {
	log.mask == {"/input/request/path", "/input/request/raw_path"} with input as unknown
}

test_an_allowed_preflight_is_dropped if {
	log.drop with input as object.union(allowed, {"input": {"request": {"method": "OPTIONS"}}})
	not log.drop with input as object.union(unknown, {"input": {"request": {"method": "OPTIONS"}}})
}
