import { Allow, type Decision, type Deny, deny } from '../../decision/decision.ts';
import type { HeaderPairs } from '../../decision/header-changes.ts';
import type { JsonObject } from '../../decision/json.ts';
import { isEnvoyStatus } from '../../decision/status.ts';
import { denialHeaders, problemBody } from '../../listener/problem.ts';
import { WireWriter } from '../../listener/wire-writer.ts';
import { UnwritableValue, writeStruct, writeStructField } from '../../listener/write-struct.ts';

/**
 * Encodes a decision as an `envoy.service.auth.v3.CheckResponse`; never throws. INVARIANT: only what `Allow.is`
 * proves to be an Allow is encoded as one; everything else, and whatever cannot be encoded, is a denial.
 */
export function toCheckResponse(decision: Decision, decisionId: string): Buffer {
  try {
    return Allow.is(decision) ? encodeAllow(decision, decisionId) : encodeAnyDeny(asDeny(decision), decisionId);
  } catch {
    return denyInternal(decisionId);
  }
}

/** The denial for when there is no decision at all. */
export function denyInternal(decisionId: string): Buffer {
  return encodeDeny(deny('internal'), decisionId);
}

// Field numbers of envoy.service.auth.v3 and what it contains.
const CHECK_RESPONSE = { status: 1, denied: 2, ok: 3, dynamicMetadata: 4 } as const;
const STATUS_CODE = 1;
const DENIED = { status: 1, headers: 2, body: 3 } as const;
const OK = { headers: 2, headersToRemove: 5, responseHeaders: 6, querySet: 7, queryRemove: 8 } as const;
const HEADER_OPTION = { header: 1, append: 2, appendAction: 3 } as const;
const KEY = 1;
const VALUE = 2;
const OVERWRITE_IF_EXISTS_OR_ADD = 2;

/** Something that is no Allow and does not read like a Deny is a fault of ours. */
function asDeny(decision: unknown): Deny {
  const isDeny = typeof decision === 'object' && decision !== null && 'kind' in decision && decision.kind === 'deny';
  // `kind` tells the members of Decision apart, and only `deny` and `parseVerdict` make them.
  return isDeny ? (decision as Deny) : deny('internal');
}

/** A denial stands also when its metadata cannot be written. */
function encodeAnyDeny(decision: Deny, decisionId: string): Buffer {
  try {
    return encodeDeny(decision, decisionId);
  } catch (error) {
    if (error instanceof UnwritableValue) return encodeDeny({ ...decision, metadata: {} }, decisionId);
    throw error;
  }
}

/**
 * The one encoder of denials. INVARIANT: `status.code` is never 0 and `denied_response` is always there: to Envoy an
 * absent or zero code is an Allow, whatever else the message says.
 */
function encodeDeny(decision: Deny, decisionId: string): Buffer {
  const known = isEnvoyStatus(decision.status) && decision.status >= 300;
  const denial = known ? decision : { ...decision, status: 403 };
  const writer = new WireWriter();
  writeMetadata(writer, denial.metadata, decisionId);
  const denied = writer.written();
  writer.text(DENIED.body, problemBody(denial, decisionId));
  writeHeaders(writer, DENIED.headers, denialHeaders(denial));
  writeNested(writer, DENIED.status, denial.status);
  writer.close(CHECK_RESPONSE.denied, denied);
  writeNested(writer, CHECK_RESPONSE.status, grpcCodeOf(denial.status));
  return writer.finish();
}

function encodeAllow(decision: Allow, decisionId: string): Buffer {
  const writer = new WireWriter();
  writeMetadata(writer, decision.metadata, decisionId, decision.reservationId);
  const ok = writer.written();
  writeTexts(writer, OK.queryRemove, decision.queryRemove);
  writeQuery(writer, decision.querySet);
  writeHeaders(writer, OK.responseHeaders, decision.responseHeaders);
  writeTexts(writer, OK.headersToRemove, decision.removeHeaders);
  writeHeaders(writer, OK.headers, decision.ownedHeaders);
  writeHeaders(writer, OK.headers, decision.setHeaders);
  writer.close(CHECK_RESPONSE.ok, ok);
  // `google.rpc.Status` with code 0, OK: sent although it is empty, so that the message says what it means.
  writer.close(CHECK_RESPONSE.status, writer.written());
  return writer.finish();
}

/** google.rpc.Code for a denial with this HTTP status; never OK. */
function grpcCodeOf(status: number): number {
  return GRPC_CODES.get(status) ?? PERMISSION_DENIED;
}

const PERMISSION_DENIED = 7;
const GRPC_CODES: ReadonlyMap<number, number> = new Map([
  [400, 3],
  [401, 16],
  [404, 5],
  [429, 8],
  [500, 13],
  [501, 12],
  [502, 14],
  [503, 14],
  [504, 4],
]);

/** Ours win: a policy's own `decision_id` and `reservation_id` are not written. */
function writeMetadata(writer: WireWriter, metadata: JsonObject, decisionId: string, reservationId?: string): void {
  const end = writer.written();
  writeStructField(writer, 'decision_id', decisionId);
  if (reservationId !== undefined) writeStructField(writer, 'reservation_id', reservationId);
  const clashes = Object.hasOwn(metadata, 'decision_id') || Object.hasOwn(metadata, 'reservation_id');
  writeStruct(writer, clashes ? { ...metadata, decision_id: undefined, reservation_id: undefined } : metadata);
  writer.close(CHECK_RESPONSE.dynamicMetadata, end);
}

/** A message whose field 1 is a number: `google.rpc.Status`, `envoy.type.v3.HttpStatus`. */
function writeNested(writer: WireWriter, field: number, value: number): void {
  const end = writer.written();
  writer.uint32(STATUS_CODE, value);
  writer.close(field, end);
}

/**
 * Writes `HeaderValueOption`s: the first value of a name replaces what is there, further ones are appended to it.
 * Both the old and the new way of saying so are sent, because Envoys differ in which of them they read. Cookies are
 * always appended: RFC 6265 §3 gives each its own field, and the upstream's must survive.
 */
function writeHeaders(writer: WireWriter, field: number, headers: HeaderPairs): void {
  for (let index = headers.length - 1; index >= 0; index--) {
    const [name, value] = headers[index] ?? ['', ''];
    const end = writer.written();
    if (name === 'set-cookie' || isRepeated(headers, index, name)) {
      writeNested(writer, HEADER_OPTION.append, 1);
    } else {
      writer.uint32(HEADER_OPTION.appendAction, OVERWRITE_IF_EXISTS_OR_ADD);
      writer.close(HEADER_OPTION.append, writer.written());
    }
    const header = writer.written();
    writer.text(VALUE, value);
    writer.text(KEY, name);
    writer.close(HEADER_OPTION.header, header);
    writer.close(field, end);
  }
}

/** Whether the name stands earlier in the list; lists are short. */
function isRepeated(headers: HeaderPairs, index: number, name: string): boolean {
  for (let before = 0; before < index; before++) if (headers[before]?.[0] === name) return true;
  return false;
}

function writeTexts(writer: WireWriter, field: number, texts: readonly string[]): void {
  for (let index = texts.length - 1; index >= 0; index--) writer.text(field, texts[index] ?? '');
}

/** Envoy inserts names and values as they are, so they are percent-encoded here. */
function writeQuery(writer: WireWriter, pairs: HeaderPairs): void {
  for (let index = pairs.length - 1; index >= 0; index--) {
    const [name, value] = pairs[index] ?? ['', ''];
    const end = writer.written();
    writer.text(VALUE, percentEncode(value));
    writer.text(KEY, percentEncode(name));
    writer.close(OK.querySet, end);
  }
}

/** Leaves the unreserved characters of RFC 3986 §2.3 only. Throws URIError for a lone surrogate. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
