# METADATA
# title: Which service may call what
# description: |
#   Service-to-service rules, as data: `catalog.services` names each service by the identities of its certificates and
#   lists the calls that it may make. A call names routes, methods and a bound in bytes (`max_bytes`, or
#   `unbounded: true`), and every tenant, model and operation that the route may have (a list, or "any"). One call that
#   fits is enough. What has a tenant goes to the tenant's own upstream; where there is none, the call may name one.
#   A service may also `carry` routes: then a user's request on them must come through such a service. Its `limits` are
#   charged beside those of the route.
package mesh

import data.models

# The kinds of names are kept apart: a peer with a SPIFFE ID is known by nothing else, one with DNS names not by its
# subject.
services contains name if {
	some name, service in data.catalog.services
	input.peer.spiffe_id in service.spiffe_ids
}

services contains name if {
	not input.peer.spiffe_id
	some name, service in data.catalog.services
	some dns_name in input.peer.dns_sans
	dns_name in service.dns_names
}

services contains name if {
	not input.peer.spiffe_id
	count(input.peer.dns_sans) == 0
	some name, service in data.catalog.services
	input.peer.subject in service.subjects
}

reasons contains "unknown_service" if count(services) == 0

reasons contains "call_not_permitted" if {
	count(services) > 0
	count(fitting) == 0
}

# That a service has no limits of its own must be said: `"limits": []`.
reasons contains "limits_unsaid" if {
	some name in services
	not says_limits(name)
}

reasons contains "ambiguous_upstream" if {
	not input.route.tenant
	count(named_upstreams) > 1
}

reasons contains "not_deployed" if {
	count(fitting) > 0
	input.route.tenant
	not models.upstream
}

says_limits(name) if is_array(data.catalog.services[name].limits)

# Answered 413 by authz, as the bounds of tiers are.
payload_reasons contains "service_payload_too_large" if {
	count(fitting) > 0
	not permitted
	input.request.size.known == true
}

payload_reasons contains "service_payload_size_unknown" if {
	count(fitting) > 0
	not permitted
	not input.request.size.known == true
}

permitted if {
	some call in fitting
	within_bounds(call)
}

# Of a user's request: the services that carry the route, where there are any, and it came through none of them.
carrier_reasons contains "peer_required" if {
	count(carriers) > 0
	count(carriers & services) == 0
}

carriers contains name if {
	some name, service in data.catalog.services
	input.route.name in service.carries
}

upstream := models.upstream if input.route.tenant

upstream := name if {
	not input.route.tenant
	count(named_upstreams) == 1
	some name in named_upstreams
}

named_upstreams contains call.upstream if {
	some call in fitting
	within_bounds(call)
}

fitting contains call if {
	some name in services
	some call in data.catalog.services[name].calls
	input.route.name in call.routes
	input.request.method in call.methods
	fits_tenant(call)
	fits_model(call)
	fits_operation(call)
}

fits_tenant(_) if not input.route.tenant

fits_tenant(call) if call.tenants == "any"

fits_tenant(call) if input.route.tenant in call.tenants

fits_model(_) if not input.route.model

fits_model(call) if call.models == "any"

fits_model(call) if input.route.model in call.models

fits_operation(_) if not input.route.operation

fits_operation(call) if call.operations == "any"

fits_operation(call) if input.route.operation in call.operations

within_bounds(call) if call.unbounded == true

within_bounds(call) if {
	input.request.size.known == true
	is_number(call.max_bytes)
	is_number(input.request.size.bytes)
	input.request.size.bytes <= call.max_bytes
}
