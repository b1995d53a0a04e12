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
  const parts = TRACEPARENT.exec(value);
  if (parts === null) return undefined;
  const [, version, traceId, spanId, flags, rest] = parts;
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === 'ff' || (version === '00' && rest !== '')) return undefined;
  if (ALL_ZERO.test(traceId) || ALL_ZERO.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
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
    return ALL_ZERO.test(id) ? SUBSTITUTE_ID : id;
  };
}

const LENGTH = 55;
const MAX_LENGTH = 256;
/** A later version may add members after another hyphen. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})((?:-.*)?)$/;
const ALL_ZERO = /^0+$/;

const SPAN_ID_BYTES = 8;
const POOLED_IDS = 64;
/** All zero is invalid; one value for that one case in 2^64 keeps `next` free of loops. */
const SUBSTITUTE_ID = '0000000000000001';
