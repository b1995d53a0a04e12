import { type Document, known } from './document.ts';
import { bundlesOf, clientOf, hostOf, kindOf, messageOf, pathOf, reasonOf, routeOf } from './event-kind.ts';
import { eventId, type LoggedEvent, memberOf, numberAt, textAt, textsAt } from './logged-event.ts';
import { ownDetails } from './own-details.ts';

/** The version of the Elastic Common Schema that {@link toEcs} writes. */
export const ECS_VERSION = '8.17.0';

/** An event by the Elastic Common Schema; what the schema has no field for is below `sallyport`. */
export function toEcs(event: LoggedEvent): Document {
  const { names, revisions } = bundlesOf(event);
  const client = clientOf(event);
  const asn = numberAt(event, 'input', 'network', 'asn');
  const country = textAt(event, 'input', 'network', 'country');
  const policy = textAt(event, 'path');
  return {
    '@timestamp': event.timestamp,
    ecs: { version: ECS_VERSION },
    message: messageOf(event),
    event: eventFields(event),
    service: { name: 'sallyport', type: 'sallyport', node: { name: event.instance_id } },
    ...known({
      labels: labelsOf(event),
      source: known({
        ip: client.ip,
        address: client.ip ?? client.name,
        geo: known({ country_iso_code: country }),
        as: asn === undefined ? undefined : { number: asn },
      }),
      user: known({
        id: textAt(event, 'input', 'identity', 'subject'),
        domain: textAt(event, 'input', 'identity', 'issuer'),
        roles: textsAt(event, 'input', 'identity', 'roles'),
      }),
      organization: known({ id: textAt(event, 'input', 'identity', 'tenant') }),
      http: known({
        request: known({
          id: textAt(event, 'request_id'),
          method: textAt(event, 'input', 'request', 'method'),
          bytes: numberAt(event, 'input', 'request', 'size'),
        }),
        response: known({ status_code: numberAt(event, 'status') }),
      }),
      url: known({ domain: hostOf(event), path: pathOf(event), scheme: textAt(event, 'input', 'request', 'scheme') }),
      rule: known({
        id: policy,
        name: textAt(event, 'decision_name') ?? policy,
        ruleset: policy === undefined ? undefined : names.join(','),
        version: policy === undefined ? undefined : revisions.join(','),
      }),
      trace: known({ id: textAt(event, 'trace_id') }),
      span: known({ id: textAt(event, 'span_id') }),
      error: known({ code: textAt(event, 'error', 'code'), message: textAt(event, 'error', 'message') }),
      sallyport: ownFields(event),
    }),
  };
}

/** https://www.elastic.co/guide/en/ecs/8.17/ecs-event.html: `kind`, `category`, `type` and `outcome` have fixed values. */
function eventFields(event: LoggedEvent): Document | undefined {
  const kind = kindOf(event);
  const shared = {
    id: eventId(event),
    kind: 'event',
    module: 'sallyport',
    dataset: `sallyport.${kind}`,
    provider: 'sallyport',
    sequence: event.sequence,
  };
  if (kind === 'administrative') {
    return known({ ...shared, category: ['configuration'], type: ['change'], action: textAt(event, 'action') });
  }
  const isAllowed = event['decision'] === 'allow';
  return known({
    ...shared,
    category: ['api'],
    type: ['access', isAllowed ? 'allowed' : 'denied'],
    outcome: isAllowed ? 'success' : 'failure',
    action: isAllowed ? 'access-allowed' : 'access-denied',
    code: textAt(event, 'code'),
    reason: reasonOf(event),
    duration: numberAt(event, 'metrics', 'timer_server_handler_ns'),
  });
}

/** Dots in names would make objects of them. */
function labelsOf(event: LoggedEvent): Document | undefined {
  const labels = Object.entries(memberOf(event, 'labels') ?? {});
  return known(Object.fromEntries(labels.map(([name, value]) => [name.replaceAll('.', '_'), value])));
}

function ownFields(event: LoggedEvent): Document | undefined {
  const identity = memberOf(event, 'input', 'identity');
  const { names, revisions } = bundlesOf(event);
  return known({
    decision_id: textAt(event, 'decision_id'),
    reservation_id: textAt(event, 'reservation_id'),
    parent_span_id: textAt(event, 'parent_span_id'),
    door: textAt(event, 'door'),
    route: routeOf(event),
    bundles: names.map((name, at) => ({ name, revision: revisions[at] })),
    identity: known({ kind: identity?.['kind'], tier: identity?.['tier'], key_id: identity?.['key_id'] }),
    peer: known({ spiffe_id: textAt(event, 'input', 'peer', 'spiffe_id') }),
    model: textAt(event, 'input', 'inference', 'model'),
    ...ownDetails(event),
    count: numberAt(event, 'count'),
  });
}
