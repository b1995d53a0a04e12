/** Milliseconds that `retry-after` asks for (RFC 9110 §10.2.3: seconds or a date); 0 where it asks for nothing. */
export function retryAfterMs(value: string | undefined, nowEpochMs: number): number {
  if (value === undefined) return 0;
  if (SECONDS.test(value)) return Number(value) * 1000;
  const epochMs = DATE.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(epochMs) ? 0 : Math.max(0, epochMs - nowEpochMs);
}

const SECONDS = /^[0-9]{1,9}$/;
const DATE = /^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT$/;
