import type { AccessRequest } from '../decision/access-request.ts';
import type { Inference, PayloadSize } from '../decision/ports.ts';
import type { BodySchema } from './body-schemas.ts';
import { dialectFields } from './dialects.ts';
import { contradiction, gatewayReading } from './gateway-reading.ts';
import { parseInference } from './inference.ts';
import type { JsonDocument } from './json-body.ts';
import { jsonLabelFault } from './json-label.ts';
import { isWhole } from './payload-size.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';
import type { RouteData } from './route-data.ts';

/** A request's body and all that says how it is to be read. */
export interface RoutedBody {
  readonly request: AccessRequest;
  readonly route: RouteData;
  readonly size: PayloadSize;
  /** The `content-type` as sent. */
  readonly label: string | undefined;
  /** Whether nobody has shown who he is, neither a user nor a peer. */
  readonly anonymous: boolean;
  readonly schemas: ReadonlyMap<string, BodySchema>;
  /** The whole body as JSON, scanned once per request however many ask. */
  readonly document: () => JsonDocument | Refusal;
}

/**
 * What the model server will read in the body of a route that reads it: from the bytes, and where the gateway tells its
 * own reading too, only if both agree. The gateway's alone is enough only where the route says that its upstream tells
 * `model` from `Model`, because the gateway's reader does.
 */
export function readBody(body: RoutedBody): Inference | Refusal {
  const { request, route } = body;
  const fault = jsonLabelFault(request, body.label);
  if (fault !== undefined) return fault;
  const gateways = gatewayReading(request);
  if (isRefusal(gateways)) return gateways;
  if (!isWhole(request, body.size)) {
    if (gateways !== undefined && route.body === 'metadata' && route.caseSensitiveKeys) return gateways;
    return refuse(
      'payload_size_unknown',
      `route \`${route.name}\` reads the body, but the gateway did not send all of it`,
    );
  }
  // Reading costs time in step with the size, and whoever has shown no credential yet can send many.
  if (body.anonymous && request.body.bytes.length > MAX_ANONYMOUS_BYTES) {
    return refuse('payload_too_large', 'the payload is larger than an anonymous caller may have read');
  }
  const document = body.document();
  if (isRefusal(document)) return document;
  const ours = parseInference(document, dialectFields(route.dialect));
  if (isRefusal(ours)) return ours;
  return schemaFault(body, document) ?? (gateways === undefined ? ours : (contradiction(ours, gateways) ?? ours));
}

/** Reading this much takes a fraction of a millisecond. */
const MAX_ANONYMOUS_BYTES = 64 * 1024;

/** INVARIANT: where a route has a schema no body passes it unchecked, and none of the anonymous is checked. */
function schemaFault({ route, schemas, anonymous }: RoutedBody, document: JsonDocument): Refusal | undefined {
  if (route.schema === undefined) return undefined;
  if (anonymous) return refuse('no_credential', `route \`${route.name}\` checks bodies of known callers only`);
  const schema = schemas.get(route.schema);
  return schema === undefined ? refuse('internal', `schema \`${route.schema}\` was not compiled`) : schema(document);
}
