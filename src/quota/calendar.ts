import type { Calendar } from '../decision/charge-terms.ts';
import type { WindowSpan, Windows } from './bucket.ts';

/** Of a calendar in a zone, or of a fixed length, aligned to the Unix epoch. */
export type WindowTerms = { readonly calendar: Calendar; readonly zone: string } | { readonly periodSeconds: number };

/**
 * The windows of a calendar; those of the same terms are made once. Throws a `RangeError` for a zone that there is not.
 *
 * A day, a week (from Monday) and a month begin when the zone's clocks first show their first midnight or something
 * later, so a day of a change of clocks has 23 or 25 hours, and a day that was left out has no window. A minute and an
 * hour are spans of elapsed time between whole minutes and hours as the clocks show them, and end where clocks change:
 * an hour that the clocks show twice is two windows.
 */
export function createWindows(terms: WindowTerms): Windows {
  const key = 'calendar' in terms ? `${terms.calendar} ${terms.zone}` : String(terms.periodSeconds);
  const known = KNOWN.get(key);
  if (known !== undefined) return known;
  const windows = rememberLast('calendar' in terms ? calendarSpan(terms) : fixedSpan(terms.periodSeconds * 1000));
  const oldest = KNOWN.size < MAX_KNOWN ? undefined : KNOWN.keys().next().value;
  if (oldest !== undefined) KNOWN.delete(oldest);
  KNOWN.set(key, windows);
  return windows;
}

const KNOWN = new Map<string, Windows>();
const MAX_KNOWN = 512;

type SpanAt = (epochMs: number) => WindowSpan;
/** What the clocks of a zone show at a moment, less that moment, in milliseconds. */
type OffsetAt = (epochMs: number) => number;

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** More than any zone is off UTC. */
const FAR_MS = 16 * HOUR_MS;

function rememberLast(spanAt: SpanAt): Windows {
  let last: WindowSpan = { startMs: 0, endMs: 0 };
  return {
    at: (epochMs) => {
      if (epochMs < last.startMs || epochMs >= last.endMs) last = spanAt(epochMs);
      return last;
    },
  };
}

function fixedSpan(lengthMs: number): SpanAt {
  return (epochMs) => {
    const startMs = Math.floor(epochMs / lengthMs) * lengthMs;
    return { startMs, endMs: startMs + lengthMs };
  };
}

function calendarSpan({ calendar, zone }: { readonly calendar: Calendar; readonly zone: string }): SpanAt {
  const offsetAt = zoneOffset(zone);
  switch (calendar) {
    case 'minute':
      return (epochMs) => clockSpan(offsetAt, MINUTE_MS, epochMs);
    case 'hour':
      return (epochMs) => clockSpan(offsetAt, HOUR_MS, epochMs);
    case 'day':
    case 'week':
    case 'month':
      return (epochMs) => dateSpan(offsetAt, calendar, epochMs);
  }
}

function clockSpan(offsetAt: OffsetAt, lengthMs: number, epochMs: number): WindowSpan {
  const offsetMs = offsetAt(epochMs);
  const startMs = Math.floor((epochMs + offsetMs) / lengthMs) * lengthMs - offsetMs;
  const endMs = startMs + lengthMs;
  return {
    startMs: offsetAt(startMs) === offsetMs ? startMs : changeOfClocks(offsetAt, startMs, epochMs),
    endMs: offsetAt(endMs) === offsetMs ? endMs : changeOfClocks(offsetAt, epochMs, endMs),
  };
}

function dateSpan(offsetAt: OffsetAt, calendar: 'day' | 'week' | 'month', epochMs: number): WindowSpan {
  let firstMs = firstMidnight(calendar, epochMs + offsetAt(epochMs));
  let startMs = whenShown(offsetAt, firstMs);
  for (;;) {
    firstMs = nextMidnight(calendar, firstMs);
    const endMs = whenShown(offsetAt, firstMs);
    // Clocks that go back over midnight show a date again whose window is over.
    if (epochMs < endMs) return { startMs, endMs };
    startMs = endMs;
  }
}

/** Local times are kept as if they were UTC, so that `Date` reckons with their dates. */
function firstMidnight(calendar: 'day' | 'week' | 'month', localMs: number): number {
  const date = new Date(localMs);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  switch (calendar) {
    case 'day':
      return Date.UTC(year, month, day);
    case 'week':
      return Date.UTC(year, month, day - ((date.getUTCDay() + 6) % 7));
    case 'month':
      return Date.UTC(year, month, 1);
  }
}

function nextMidnight(calendar: 'day' | 'week' | 'month', localMs: number): number {
  if (calendar !== 'month') return localMs + (calendar === 'day' ? DAY_MS : 7 * DAY_MS);
  const date = new Date(localMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** The first moment at which a zone's clocks show a time, or one after it. */
function whenShown(offsetAt: OffsetAt, localMs: number): number {
  const [fromMs, untilMs] = [localMs - FAR_MS, localMs + FAR_MS];
  const [before, after] = [offsetAt(fromMs), offsetAt(untilMs)];
  if (before === after) return localMs - before;
  const changeMs = changeOfClocks(offsetAt, fromMs, untilMs);
  return localMs - before < changeMs ? localMs - before : Math.max(changeMs, localMs - after);
}

/** When the clocks were changed, after one moment and not after another; zones do so at a whole second. */
function changeOfClocks(offsetAt: OffsetAt, fromMs: number, untilMs: number): number {
  const after = offsetAt(untilMs);
  let low = Math.floor(fromMs / 1000);
  let high = Math.floor(untilMs / 1000);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle * 1000) === after) high = middle;
    else low = middle;
  }
  return high * 1000;
}

function zoneOffset(zone: string): OffsetAt {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (epochMs) => {
    const shown = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
    for (const { type, value } of format.formatToParts(epochMs)) {
      if (type in shown) shown[type as keyof typeof shown] = Number(value); // `in` has just said so.
    }
    const { year, month, day, hour, minute, second } = shown;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(epochMs / 1000) * 1000;
  };
}
