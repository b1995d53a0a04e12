# METADATA
# title: Who may pass
# description: |
#   Puts the verdict together. A caller passes when a grant permits the call and no package has a reason against it;
#   a CORS preflight of a declared route passes without a credential. All else is denied.
package authz

import data.models
import data.payload
import data.tenancy
import data.tiers

# METADATA
# title: The verdict on one request
# description: "{allow, reasons, status?, upstream?}"
# entrypoint: true
decision := {"allow": allow, "reasons": []} if {
	preflight
} else := {"allow": allow, "reasons": [], "upstream": models.upstream} if {
	allow
} else := {"allow": allow, "reasons": sort(reasons), "status": 413} if {
	only_the_payload_is_wrong
} else := {"allow": allow, "reasons": sort(reasons)}

# METADATA
# title: The charges of one request
# description: What the matched route must be charged with; a limit without terms leaves its charge out, which denies.
# entrypoint: true
limits contains charge if {
	some route in data.catalog.routes
	route.name == input.route.name
	some name in route.limits
	charge := object.union(data.catalog.limits[name], {"name": name})
}

default allow := false

allow if preflight

allow if {
	identified
	models.permitted
	count(reasons) == 0
}

reasons := {"anonymous"} if not identified

reasons := ((tenancy.reasons | tiers.reasons) | models.reasons) | payload.reasons if identified

only_the_payload_is_wrong if {
	count(payload.reasons) > 0
	reasons == payload.reasons
}

identified if input.identity.kind in {"jwt", "api_key", "mtls"}

preflight if {
	input.request.method == "OPTIONS"
	input.route.operation == "preflight"
}
