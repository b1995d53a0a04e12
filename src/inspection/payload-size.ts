import type { AccessRequest } from '../decision/access-request.ts';
import type { PayloadSize } from '../decision/ports.ts';
import { isRefusal, malformed, type Refusal } from './refusal.ts';
import { soleValue } from './single-header.ts';

/**
 * How large the payload is. Known only if the gateway vouches that it forwarded all of it, or if the client declared
 * a length and the gateway did not say that the body is partial; everything else is a lower bound. Contradictory
 * framing (RFC 9112 §6.3) is refused, because the upstream may believe the other half. A gateway that may send partial
 * bodies vouches for nothing: Envoy 1.40 calls one whole whose first `max_request_bytes` came before the rest.
 */
export function payloadSize(request: AccessRequest, upgrade: boolean, partialBodies = false): PayloadSize | Refusal {
  const { body, declaredLength } = request;
  const seen = body.bytes.length;
  const fault = framingFault(request);
  if (fault !== undefined) return fault;
  if (declaredLength === 'malformed') return malformed('`content-length` is no integer');
  if (declaredLength !== undefined && seen > declaredLength) return malformed('the body is longer than it declares');
  // After an upgrade both sides send what they like, and the gateway shows none of it.
  if (upgrade) return { known: false, at_least: Math.max(seen, declaredLength ?? 0) };
  if (body.complete === true) {
    if (declaredLength !== undefined && seen !== declaredLength) {
      return malformed('the body is shorter than it declares');
    }
    if (partialBodies && declaredLength === undefined) return { known: false, at_least: seen };
    return { known: true, bytes: seen };
  }
  if (declaredLength === undefined) return { known: false, at_least: seen };
  return body.complete === false ? { known: false, at_least: declaredLength } : { known: true, bytes: declaredLength };
}

/** Whether the body's bytes are all there, so that reading them tells what the upstream will read. */
export function isWhole(request: AccessRequest, size: PayloadSize): boolean {
  return size.known && size.bytes === request.body.bytes.length;
}

const PLAIN_INTEGER = /^[0-9]{1,15}$/;

function framingFault({ headers }: AccessRequest): Refusal | undefined {
  const length = soleValue(headers, 'content-length');
  if (isRefusal(length)) return length;
  if (length !== undefined && !PLAIN_INTEGER.test(length)) return malformed('`content-length` is no integer');
  const coding = soleValue(headers, 'transfer-encoding');
  if (isRefusal(coding)) return coding;
  if (coding !== undefined) {
    if (length !== undefined) return malformed('`transfer-encoding` came together with `content-length`');
    if (coding.toLowerCase() !== 'chunked') return malformed('`transfer-encoding` is not `chunked`');
  }
  const partial = soleValue(headers, 'x-envoy-auth-partial-body');
  return isRefusal(partial) ? partial : undefined;
}
