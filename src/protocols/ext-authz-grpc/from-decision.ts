import { Allow, type Decision, type Deny, deny } from '../../decision/decision.ts';
import type { HeaderPairs } from '../../decision/header-changes.ts';
import { isEmptyObject, type JsonObject } from '../../decision/json.ts';
import { isEnvoyStatus } from '../../decision/status.ts';
import { denialHeaders, problemBody } from '../../listener/problem.ts';
import { WireWriter } from '../../listener/wire-writer.ts';
import { UnwritableValue, writeStruct, writeStructField } from '../../listener/write-struct.ts';
import { writeHeaders, written } from './header-options.ts';
import { writeQuotaHeaders } from './quota-header-options.ts';

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
const KEY = 1;
const VALUE = 2;

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
  const { toldQuota } = decision;
  if (toldQuota?.texts.reused === true) writeQuotaHeaders(writer, OK.responseHeaders, toldQuota);
  else writeHeaders(writer, OK.responseHeaders, decision.responseHeaders);
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
  writeMembers(writer, metadata);
  writer.close(CHECK_RESPONSE.dynamicMetadata, end);
}

function writeMembers(writer: WireWriter, metadata: JsonObject): void {
  const shared = SHARED.get(metadata);
  if (shared !== undefined) {
    writer.bytes(shared);
    return;
  }
  const clashes = Object.hasOwn(metadata, 'decision_id') || Object.hasOwn(metadata, 'reservation_id');
  const members = clashes ? { ...metadata, decision_id: undefined, reservation_id: undefined } : metadata;
  writeStruct(writer, members);
  // What is frozen stands for many answers; that there is nothing to say is said as quickly as found.
  if (!isEmptyObject(metadata) && Object.isFrozen(metadata)) {
    SHARED.set(
      metadata,
      written((one) => writeStruct(one, members)),
    );
  }
}

const SHARED = new WeakMap<JsonObject, Uint8Array>();

/** A message whose field 1 is a number: `google.rpc.Status`, `envoy.type.v3.HttpStatus`. */
function writeNested(writer: WireWriter, field: number, value: number): void {
  const end = writer.written();
  writer.uint32(STATUS_CODE, value);
  writer.close(field, end);
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
