import { UsageError } from './command.ts';

/** `45s`, `30m`, `24h` or `90d` in milliseconds; throws a {@link UsageError} that names the flag. */
export function parseDuration(text: string, flag: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNITS.get(unit);
  if (count === undefined || unitMs === undefined) {
    throw new UsageError(`\`${flag} ${text}\` is no span of time: write 45s, 30m, 24h or 90d`);
  }
  return Number(count) * unitMs;
}

/** A moment as a keys file holds it: a span counted from now, or an RFC 3339 time, which is turned into UTC. */
export function parseMoment(text: string, flag: string, nowMs: number): string {
  if (/^\d{1,6}[smhd]$/.test(text)) return toTime(nowMs + parseDuration(text, flag));
  const ms = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2}))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new UsageError(`\`${flag} ${text}\` is no time: write 90d, 2027-01-31 or 2027-01-31T12:00:00Z`);
  }
  return toTime(ms);
}

/** `2027-01-31T12:00:00Z`. */
export function toTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
