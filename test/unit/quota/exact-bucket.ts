import type { BucketVector } from '../../support/bucket-vectors.ts';

const MOST = Number.MAX_SAFE_INTEGER;

/**
 * The same step in integers of any size, written from what a bucket promises and not from the code: every event of the
 * hold and of the clock in its order, and nothing folded together.
 */
export function exactly({ terms: [kind, , burst, periodMs], moment, before, operation }: BucketVector) {
  const [nowMs, startMs, endMs] = moment.map(BigInt) as [bigint, bigint, bigint]; // As many as in `moment`.
  const [top, period] = [BigInt(MOST), BigInt(periodMs)];
  let [level, atMs, drain] = before.slice(0, 3).map(BigInt) as [bigint, bigint, bigint]; // A bucket has five at least.
  let holds: { id: number; amount: bigint; deadlineMs: bigint; charged: boolean }[] = [];
  for (let index = 5; index < before.length; index += 4) {
    const [id = 0, amount = 0, deadlineMs = 0, onExpiry = 0] = before.slice(index, index + 4);
    holds.push({ id, amount: BigInt(amount), deadlineMs: BigInt(deadlineMs), charged: onExpiry === 1 });
  }
  const clamp = (value: bigint): bigint => (value < 0n ? 0n : value > top ? top : value);
  const raise = (units: bigint): void => {
    if (kind !== 2) level = clamp(level + units * period);
  };
  const drainTo = (ms: bigint): void => {
    if (kind !== 0 || ms <= atMs) return;
    level = clamp(level - (ms - atMs) * drain);
    atMs = ms;
  };
  if (kind === 1 && startMs > atMs) {
    [level, holds, atMs] = [0n, [], startMs];
  } else {
    if (kind === 0 && atMs - nowMs > 1000n) atMs = nowMs;
    if (kind === 1 && atMs > endMs) atMs = startMs;
    for (const { amount, deadlineMs, charged } of holds.filter((one) => one.deadlineMs <= nowMs)) {
      drainTo(deadlineMs);
      if (charged) raise(amount);
    }
    holds = holds.filter((one) => one.deadlineMs > nowMs);
    drainTo(nowMs);
  }
  const held = (): bigint => holds.reduce((sum, { amount }) => sum + amount, 0n);
  const room = (): bigint => BigInt(burst) * period - level - held() * period;
  const [code, first = 0, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0] = operation;
  const isTake = code === 0 || code === 1;
  const fitted = room() >= BigInt(isTake ? first : 0) * period;
  if (isTake && fitted) {
    if (code === 0) raise(BigInt(first));
    else holds.push({ id: second, amount: BigInt(first), deadlineMs: nowMs + BigInt(third), charged: fourth === 1 });
  }
  if (code === 5) raise(BigInt(first));
  if (code === 2 || code === 3) {
    const isLive = holds.some(({ id }) => id === first);
    holds = holds.filter(({ id }) => id !== first);
    const used = BigInt(code === 2 ? sixth : fifth === 1 ? 0 : second);
    const charged = isLive || third === 1 ? 0n : BigInt(second);
    const more = used - charged;
    const drained = !isLive && third === 2 && kind === 0;
    if (isLive || kind !== 1 || BigInt(fourth) === atMs) raise(drained && more < 0n ? 0n : more);
  }
  const left = room();
  const remaining = left <= 0n ? 0n : left / period;
  return { level, held: held(), fits: isTake ? fitted : left >= 0n, remaining };
}
