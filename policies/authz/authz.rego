# METADATA
# title: Who may pass
# description: |
#   Puts the verdict together. A user passes when a grant permits the call and no package has a reason against it, a
#   service when its own rules permit the call; a CORS preflight of a declared route passes without a credential. All
#   else is denied.
package authz

import data.limits as metering
import data.mesh
import data.models
import data.payload
import data.tenancy
import data.tiers

# METADATA
# title: The verdict on one request
# description: "{allow, reasons, status?, upstream?, response_headers?, metadata?}"
# entrypoint: true
decision := {"allow": allow, "reasons": []} if {
	preflight
} else := {
	"allow": allow,
	"reasons": [],
	"upstream": upstream,
	"response_headers": {"x-served-model": metering.served},
	"metadata": {"model": metering.served, "requested_model": input.route.model},
} if {
	allow
	metering.served != metering.requested
} else := {"allow": allow, "reasons": [], "upstream": upstream} if {
	allow
} else := {"allow": allow, "reasons": []} if {
	allow
} else := {"allow": allow, "reasons": sort(reasons), "status": 413} if {
	only_the_payload_is_wrong
} else := {"allow": allow, "reasons": sort(reasons)}

# METADATA
# title: The charges of one request
# description: "A set of charges, or {plans: [a set of charges, …]}"
# entrypoint: true
limits := metering.charges

default allow := false

allow if preflight

allow if {
	user
	models.permitted
	upstream
	count(reasons) == 0
}

allow if {
	service
	mesh.permitted
	count(reasons) == 0
}

reasons := {"anonymous"} if {
	not user
	not service
}

reasons := (((tenancy.reasons | tiers.reasons) | models.reasons) | mesh.carrier_reasons) | payload_reasons if user

reasons := (mesh.reasons | payload_reasons) | (tenancy.reasons & {"other_host"}) if service

payload_reasons := payload.reasons if user

payload_reasons := mesh.payload_reasons if service

upstream := models.upstream_of(metering.served) if user

upstream := mesh.upstream if service

only_the_payload_is_wrong if {
	count(payload_reasons) > 0
	reasons == payload_reasons
}

user if input.identity.kind in {"jwt", "api_key"}

service if input.identity.kind == "mtls"

preflight if {
	input.request.method == "OPTIONS"
	input.route.operation == "preflight"
}
