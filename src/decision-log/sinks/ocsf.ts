import { asText, type Document, known } from './document.ts';
import { bundlesOf, clientOf, hostOf, kindOf, messageOf, pathOf, reasonOf, routeOf } from './event-kind.ts';
import { eventId, type LoggedEvent, memberOf, numberAt, textAt, textsAt } from './logged-event.ts';
import { ownDetails } from './own-details.ts';

/** The version of the Open Cybersecurity Schema Framework that {@link toOcsf} writes. */
export const OCSF_VERSION = '1.3.0';

/** An event as OCSF's class API Activity (6003); what the class has no attribute for is in `unmapped`. */
export function toOcsf(event: LoggedEvent): Document {
  const activity = activityOf(event);
  const severity = severityOf(event);
  return {
    category_uid: 6,
    category_name: 'Application Activity',
    class_uid: API_ACTIVITY,
    class_name: 'API Activity',
    activity_id: activity.id,
    activity_name: activity.name,
    type_uid: API_ACTIVITY * 100 + activity.id,
    type_name: `API Activity: ${activity.name}`,
    time: Date.parse(event.timestamp),
    severity_id: severity.id,
    severity: severity.name,
    message: messageOf(event),
    metadata: metadataOf(event),
    actor: actorOf(event),
    api: apiOf(event),
    src_endpoint: sourceOf(event),
    ...known({
      ...statusOf(event),
      count: numberAt(event, 'count'),
      dst_endpoint: known({ hostname: hostOf(event) }),
      http_request: requestOf(event),
      http_response: known({ code: numberAt(event, 'status') }),
      resources: resourcesOf(event),
      unmapped: unmappedOf(event),
    }),
  };
}

const API_ACTIVITY = 6003;

interface Named {
  readonly id: number;
  readonly name: string;
}

const UPDATE: Named = { id: 3, name: 'Update' };
const ACTIVITIES: ReadonlyMap<string, Named> = new Map([
  ['POST', { id: 1, name: 'Create' }],
  ['GET', { id: 2, name: 'Read' }],
  ['HEAD', { id: 2, name: 'Read' }],
  ['OPTIONS', { id: 2, name: 'Read' }],
  ['PUT', UPDATE],
  ['PATCH', UPDATE],
  ['DELETE', { id: 4, name: 'Delete' }],
]);

function activityOf(event: LoggedEvent): Named {
  if (kindOf(event) === 'administrative') return UPDATE;
  const method = textAt(event, 'input', 'request', 'method');
  if (method === undefined) return { id: 0, name: 'Unknown' };
  return ACTIVITIES.get(method) ?? { id: 99, name: method };
}

function severityOf(event: LoggedEvent): Named {
  if (memberOf(event, 'error') !== undefined) return { id: 3, name: 'Medium' };
  const isDenied = event['decision'] === 'deny' || event['observed'] !== undefined;
  return isDenied ? { id: 2, name: 'Low' } : { id: 1, name: 'Informational' };
}

function statusOf(event: LoggedEvent): Document {
  if (kindOf(event) === 'administrative') return {};
  const isAllowed = event['decision'] === 'allow';
  return {
    status_id: isAllowed ? 1 : 2,
    status: isAllowed ? 'Success' : 'Failure',
    status_code: textAt(event, 'code'),
    status_detail: reasonOf(event),
  };
}

function metadataOf(event: LoggedEvent): Document | undefined {
  const labels = Object.entries(memberOf(event, 'labels') ?? {});
  return known({
    version: OCSF_VERSION,
    product: { name: 'Sallyport', vendor_name: 'Sallyport' },
    uid: eventId(event),
    sequence: event.sequence,
    log_name: `sallyport.${kindOf(event)}`,
    log_provider: 'sallyport',
    original_time: event.timestamp,
    correlation_uid: textAt(event, 'request_id'),
    event_code: textAt(event, 'code') ?? textAt(event, 'action'),
    tenant_uid: textAt(event, 'input', 'identity', 'tenant'),
    labels: labels.map(([name, value]) => `${name}=${String(value)}`),
  });
}

function actorOf(event: LoggedEvent): Document | undefined {
  if (kindOf(event) === 'administrative') return { app_name: 'sallyport', app_uid: event.instance_id };
  const subject = textAt(event, 'input', 'identity', 'subject');
  const tenant = textAt(event, 'input', 'identity', 'tenant');
  const { names, revisions } = bundlesOf(event);
  const policy = textAt(event, 'path');
  return known({
    user:
      subject === undefined
        ? { name: 'anonymous', type_id: 0, type: 'Unknown' }
        : known({
            uid: subject,
            type_id: 99,
            type: textAt(event, 'input', 'identity', 'kind') ?? 'Other',
            domain: textAt(event, 'input', 'identity', 'issuer'),
            org: tenant === undefined ? undefined : { uid: tenant },
            groups: textsAt(event, 'input', 'identity', 'roles').map((name) => ({ name })),
            credential_uid: textAt(event, 'input', 'identity', 'key_id'),
          }),
    authorizations: [
      known({
        decision: event['decision'] === 'allow' ? 'allowed' : 'denied',
        policy:
          policy === undefined
            ? undefined
            : {
                name: textAt(event, 'decision_name') ?? policy,
                uid: `${names.join(',')}:${policy}`,
                version: revisions.join(','),
              },
      }),
    ],
  });
}

function apiOf(event: LoggedEvent): Document | undefined {
  const route = routeOf(event);
  const method = textAt(event, 'input', 'request', 'method');
  const request = textAt(event, 'request_id') ?? textAt(event, 'decision_id');
  const code = numberAt(event, 'status');
  return known({
    operation: textAt(event, 'action') ?? textAt(event, 'input', 'route', 'operation') ?? route ?? method ?? 'unknown',
    request: request === undefined ? undefined : { uid: request },
    response: code === undefined ? undefined : known({ code, error: textAt(event, 'code') }),
    service: known({ name: hostOf(event) }),
  });
}

/** The class demands it, and it one of its names. */
function sourceOf(event: LoggedEvent): Document | undefined {
  const { ip, name } = clientOf(event);
  const country = textAt(event, 'input', 'network', 'country');
  const isOurs = kindOf(event) === 'administrative';
  return known({
    ip,
    name: ip === undefined ? (name ?? (isOurs ? event.instance_id : 'unknown')) : undefined,
    location: known({ country }),
  });
}

function requestOf(event: LoggedEvent): Document | undefined {
  const hostname = hostOf(event);
  const path = pathOf(event);
  return known({
    uid: textAt(event, 'request_id'),
    http_method: textAt(event, 'input', 'request', 'method'),
    url: known({ hostname, path, scheme: textAt(event, 'input', 'request', 'scheme') }),
  });
}

function resourcesOf(event: LoggedEvent): readonly Document[] {
  const route = routeOf(event);
  const model = textAt(event, 'input', 'inference', 'model') ?? textAt(event, 'input', 'route', 'model');
  return [
    ...(route === undefined ? [] : [{ name: route, type: 'route' }]),
    ...(model === undefined ? [] : [{ name: model, type: 'model' }]),
  ];
}

function unmappedOf(event: LoggedEvent): Document | undefined {
  const identity = memberOf(event, 'input', 'identity');
  return known({
    decision_id: textAt(event, 'decision_id'),
    reservation_id: textAt(event, 'reservation_id'),
    trace_id: textAt(event, 'trace_id'),
    span_id: textAt(event, 'span_id'),
    parent_span_id: textAt(event, 'parent_span_id'),
    door: textAt(event, 'door'),
    tier: identity?.['tier'],
    spiffe_id: textAt(event, 'input', 'peer', 'spiffe_id'),
    asn: numberAt(event, 'input', 'network', 'asn'),
    request_bytes: numberAt(event, 'input', 'request', 'size'),
    ...ownDetails(event),
    error: asText(event['error']),
  });
}
