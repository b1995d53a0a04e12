/** The caller's place in a trace: W3C Trace Context, level 1. */
export interface TraceContext {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits: the caller's span. */
  readonly spanId: string;
  readonly sampled: boolean;
}

/** Reads a `traceparent`; `undefined` for whatever the recommendation tells to ignore (§3.2.2). */
export function parseTraceparent(value: string | undefined): TraceContext | undefined {
  if (value === undefined || value.length < LENGTH || value.length > MAX_LENGTH) return undefined;
  // One expression that captures nothing: read character by character, or captured, it costs twice as much.
  if (!FIELDS.test(value)) return undefined;
  if (value.startsWith('ff')) return undefined;
  if (value.length > LENGTH && (value[LENGTH] !== '-' || value.startsWith('00') || LINE_BREAK.test(value))) {
    return undefined;
  }
  const traceId = value.slice(3, 35);
  const spanId = value.slice(36, 52);
  if (traceId === ZERO_TRACE_ID || spanId === ZERO_SPAN_ID) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(value.slice(53, 55), 16) & 1) === 1 };
}

/** Makes span ids, never all zero, out of the given source of random bytes. */
export function createSpanIds(randomBytes: (size: number) => Uint8Array): () => string {
  let pool = Buffer.alloc(0);
  let used = 0;
  return function next(): string {
    if (used === pool.length) {
      pool = Buffer.from(randomBytes(POOLED_IDS * SPAN_ID_BYTES));
      used = 0;
    }
    const id = pool.toString('hex', used, used + SPAN_ID_BYTES);
    used += SPAN_ID_BYTES;
    return id === ZERO_SPAN_ID ? SUBSTITUTE_ID : id;
  };
}

/** Version, trace id, parent id and flags; a later version may have more. */
const FIELDS = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/;
const LENGTH = 55;
const MAX_LENGTH = 256;
const LINE_BREAK = /[\n\r\u2028\u2029]/;
const ZERO_TRACE_ID = '0'.repeat(32);
const ZERO_SPAN_ID = '0'.repeat(16);

const SPAN_ID_BYTES = 8;
const POOLED_IDS = 64;
/** All zero is invalid; one value for that one case in 2^64 keeps `next` free of loops. */
const SUBSTITUTE_ID = '0000000000000001';
