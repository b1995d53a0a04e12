# What of a decision event does not leave the service: asked for every event before it is written anywhere. Each value
# is a JSON pointer that is erased, or {"op": "remove" | "upsert", "path": …, "value": …}. It can only take away: of an
# upsert only a constant is kept, and only where the event already has something.
package system.log

# Addresses of people: an event of an allowed request has no need of them.
mask contains "/input/network/client_ip" if input.decision == "allow"

# A subject that is an address of mail names a person; the issuer and the tenant stay.
mask contains {"op": "upsert", "path": "/input/identity/subject", "value": "mail address"} if {
	contains(object.get(input.input, ["identity", "subject"], ""), "@")
}

# Paths are kept for routes that the bundle knows; of others a caller may have written anything there.
mask contains path if {
	not input.input.route
	some path in ["/input/request/path", "/input/request/raw_path"]
}

# Preflights decide nothing about anybody.
drop if {
	input.decision == "allow"
	input.input.request.method == "OPTIONS"
}
