import type { NotedCharge } from '../note.ts';
import type { Usage, UsageFault } from './usage.ts';

/**
 * What a usage costs in a charge's unit, exactly: tokens by weight, nano-USD by price per million tokens, rounded up
 * once. Requests and bytes were known when they were taken: they stay at `held`. Refused above 2^53 − 1.
 */
export function costOf({ meter, name }: NotedCharge, usage: Usage, held: number): number | UsageFault {
  if (meter === undefined) return held;
  const rates = [meter.input, meter.cached, meter.output];
  const counts = [usage.input, usage.cached, usage.output];
  let sum = 0n;
  for (const [at, rate] of rates.entries()) sum += BigInt(rate) * BigInt(counts[at] ?? 0);
  const per = BigInt(meter.per);
  const cost = (sum + per - 1n) / per;
  if (cost > MOST) return { fault: `the charge \`${name}\` would leave 2^53 - 1` };
  return Number(cost);
}

const MOST = BigInt(Number.MAX_SAFE_INTEGER);
