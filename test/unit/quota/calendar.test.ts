import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CALENDARS, type Calendar } from '../../../src/decision/charge-terms.ts';
import { createWindows } from '../../../src/quota/calendar.ts';
import { caseCount, seedOf } from '../../support/seed.ts';

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/St_Johns',
  'America/Sao_Paulo',
  'America/Havana',
  'Asia/Beirut',
  'Asia/Kolkata',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Chatham',
  'Africa/Casablanca',
  'Antarctica/Troll',
];

const utc = (text: string): number => Date.parse(`${text.replace(' ', 'T')}Z`);
const text = (epochMs: number): string =>
  new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ').replace(':00:00', ':00');

/** What a zone's clocks show, as `2026-03-29 01:59:59`: another way than the one under test. */
function shown(zone: string, epochMs: number): string {
  let format = SHOWN.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' });
    SHOWN.set(zone, format);
  }
  return format.format(epochMs);
}

const SHOWN = new Map<string, Intl.DateTimeFormat>();

describe('createWindows', () => {
  it.each<[Calendar, string, string, string, string, number]>([
    // calendar, zone, moment, start, end, hours
    ['day', 'UTC', '2026-11-22 07:44:56', '2026-11-22 00:00', '2026-11-23 00:00', 24],
    ['day', 'Europe/Berlin', '2026-03-29 12:00:00', '2026-03-28 23:00', '2026-03-29 22:00', 23],
    ['day', 'Europe/Berlin', '2026-10-25 12:00:00', '2026-10-24 22:00', '2026-10-25 23:00', 25],
    ['day', 'Asia/Kolkata', '2026-06-01 18:30:00', '2026-06-01 18:30', '2026-06-02 18:30', 24],
    ['day', 'Asia/Kathmandu', '2026-06-01 18:14:59', '2026-05-31 18:15', '2026-06-01 18:15', 24],
    // Half an hour of daylight saving.
    ['day', 'Australia/Lord_Howe', '2026-10-03 20:00:00', '2026-10-03 13:30', '2026-10-04 13:00', 23.5],
    ['day', 'Australia/Lord_Howe', '2026-04-05 02:00:00', '2026-04-04 13:00', '2026-04-05 13:30', 24.5],
    // There is no midnight: the day begins at 01:00.
    ['day', 'America/Sao_Paulo', '2018-11-04 12:00:00', '2018-11-04 03:00', '2018-11-05 02:00', 23],
    ['day', 'America/Sao_Paulo', '2018-11-04 02:59:59', '2018-11-03 03:00', '2018-11-04 03:00', 24],
    ['day', 'America/Sao_Paulo', '2018-02-18 02:30:00', '2018-02-17 02:00', '2018-02-18 03:00', 25],
    ['day', 'Asia/Beirut', '2026-03-29 12:00:00', '2026-03-28 22:00', '2026-03-29 21:00', 23],
    // 30 December 2011 was left out.
    ['day', 'Pacific/Apia', '2011-12-30 09:59:59', '2011-12-29 10:00', '2011-12-30 10:00', 24],
    ['day', 'Pacific/Apia', '2011-12-30 10:00:00', '2011-12-30 10:00', '2011-12-31 10:00', 24],
    // Midnight is shown twice; the day begins at the first.
    ['day', 'America/Havana', '2026-11-01 04:30:00', '2026-11-01 04:00', '2026-11-02 05:00', 25],
    ['day', 'America/Havana', '2026-11-01 05:30:00', '2026-11-01 04:00', '2026-11-02 05:00', 25],
    // At 00:01 the clocks went back over midnight: what they show of the day before belongs to the new one.
    ['day', 'America/St_Johns', '2006-10-29 03:00:00', '2006-10-29 02:30', '2006-10-30 03:30', 25],
    ['day', 'America/St_Johns', '2006-10-29 02:29:59', '2006-10-28 02:30', '2006-10-29 02:30', 24],
    ['week', 'UTC', '2026-11-22 23:59:59', '2026-11-16 00:00', '2026-11-23 00:00', 168],
    ['week', 'UTC', '2026-11-23 00:00:00', '2026-11-23 00:00', '2026-11-30 00:00', 168],
    ['week', 'Europe/Berlin', '2026-10-25 22:59:59', '2026-10-18 22:00', '2026-10-25 23:00', 169],
    ['month', 'America/New_York', '2026-03-20 00:00:00', '2026-03-01 05:00', '2026-04-01 04:00', 743],
    ['month', 'UTC', '2024-02-29 23:59:59', '2024-02-01 00:00', '2024-03-01 00:00', 29 * 24],
    ['month', 'UTC', '2026-12-31 23:59:59', '2026-12-01 00:00', '2027-01-01 00:00', 31 * 24],
    ['month', 'Pacific/Apia', '2011-12-15 00:00:00', '2011-12-01 10:00', '2011-12-31 10:00', 30 * 24],
    ['hour', 'Asia/Kolkata', '2026-06-01 12:45:00', '2026-06-01 12:30', '2026-06-01 13:30', 1],
    // The clocks show 02:xx twice: two windows.
    ['hour', 'Europe/Berlin', '2026-10-25 00:30:00', '2026-10-25 00:00', '2026-10-25 01:00', 1],
    ['hour', 'Europe/Berlin', '2026-10-25 01:30:00', '2026-10-25 01:00', '2026-10-25 02:00', 1],
    ['hour', 'Europe/Berlin', '2026-03-29 00:59:59', '2026-03-29 00:00', '2026-03-29 01:00', 1],
    // 02:00 to 02:30 is not shown: the hour is half as long.
    ['hour', 'Australia/Lord_Howe', '2026-10-03 15:45:00', '2026-10-03 15:30', '2026-10-03 16:00', 0.5],
    ['hour', 'Australia/Lord_Howe', '2026-04-04 15:15:00', '2026-04-04 15:00', '2026-04-04 15:30', 0.5],
    ['hour', 'Australia/Lord_Howe', '2026-04-04 14:45:00', '2026-04-04 14:00', '2026-04-04 15:00', 1],
    ['minute', 'Asia/Kathmandu', '2026-06-01 18:14:59', '2026-06-01 18:14', '2026-06-01 18:15', 1 / 60],
  ])('%s in %s at %s is from %s to %s', (calendar, zone, moment, start, end, hours) => {
    const { startMs, endMs } = createWindows({ calendar, zone }).at(utc(moment));
    expect([text(startMs).slice(0, 16), text(endMs).slice(0, 16)]).toEqual([start, end]);
    expect((endMs - startMs) / 3_600_000).toBe(hours);
  });

  it('has windows that hold the moment, of which one starts where another ends, at local boundaries', () => {
    const moments = fc.oneof(
      fc.integer({ min: utc('1990-01-01 00:00:00'), max: utc('2060-01-01 00:00:00') }),
      // Where clocks change: the hours around midnight and two in the morning of spring and autumn.
      fc
        .record({ year: fc.integer({ min: 1990, max: 2059 }), day: fc.nat(365), ms: fc.nat(6 * 3_600_000) })
        .map(({ year, day, ms }) => Date.UTC(year, 0, day) + ms),
    );
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), fc.constantFrom(...CALENDARS), moments, (zone, calendar, moment) => {
        const windows = createWindows({ calendar, zone });
        const span = windows.at(moment);
        expect(span.startMs <= moment && moment < span.endMs).toBe(true);
        expect(windows.at(span.startMs)).toEqual(span);
        expect(windows.at(span.endMs - 1)).toEqual(span);
        expect(windows.at(span.startMs - 1).endMs).toBe(span.startMs);
        expect(windows.at(span.endMs).startMs).toBe(span.endMs);
        expectBoundary(calendar, zone, span.startMs);
      }),
      { seed: seedOf('calendar windows') | 0, numRuns: caseCount(4000) },
    );
  });

  it.each(ZONES)('tiles the years 2005 to 2027 in %s without a gap, each day with a date of its own', (zone) => {
    const windows = createWindows({ calendar: 'day', zone });
    let span = windows.at(utc('2005-01-01 12:00:00'));
    let date = '';
    while (span.endMs < utc('2027-01-01 00:00:00')) {
      // Far from both ends the date is beyond doubt.
      const next = shown(zone, span.startMs + 12 * 3_600_000).slice(0, 10);
      expect(next > date, `${next} after ${date}`).toBe(true);
      date = next;
      const after = windows.at(span.endMs);
      if (after.startMs !== span.endMs) expect.fail(`a gap at ${text(span.endMs)}`);
      span = after;
    }
  });

  it.each([
    [1, '2026-11-22 07:44:56', '2026-11-22 07:44:56', '2026-11-22 07:44:57'],
    [60, '2026-11-22 07:44:56', '2026-11-22 07:44:00', '2026-11-22 07:45:00'],
    [3600, '2026-11-22 07:44:56', '2026-11-22 07:00:00', '2026-11-22 08:00:00'],
    [86_400, '2026-11-22 07:44:56', '2026-11-22 00:00:00', '2026-11-23 00:00:00'],
    // The epoch was a Thursday.
    [604_800, '2026-11-22 07:44:56', '2026-11-19 00:00:00', '2026-11-26 00:00:00'],
    [7, '1970-01-01 00:00:06', '1970-01-01 00:00:00', '1970-01-01 00:00:07'],
  ])('has windows of %i seconds that are aligned to the epoch', (periodSeconds, moment, start, end) => {
    expect(createWindows({ periodSeconds }).at(utc(moment))).toEqual({ startMs: utc(start), endMs: utc(end) });
    expect(createWindows({ periodSeconds }).at(utc(end)).startMs).toBe(utc(end));
  });

  it('makes the windows of the same terms once, and no more than are bounded', () => {
    const first = createWindows({ calendar: 'day', zone: 'Europe/Paris' });
    expect(createWindows({ calendar: 'day', zone: 'Europe/Paris' })).toBe(first);
    expect(createWindows({ calendar: 'hour', zone: 'Europe/Paris' })).not.toBe(first);
    for (let periodSeconds = 1; periodSeconds <= 600; periodSeconds += 1) createWindows({ periodSeconds });
    expect(createWindows({ calendar: 'day', zone: 'Europe/Paris' })).not.toBe(first);
  });

  it('costs next to nothing while the moment is in the same window', () => {
    const windows = createWindows({ calendar: 'month', zone: 'Europe/Berlin' });
    const moment = utc('2026-11-22 07:44:56');
    const span = windows.at(moment);
    for (let ms = 0; ms < 100_000; ms += 1) if (windows.at(moment + ms) !== span) expect.fail('it was made anew');
  });

  it.each(['Europe/Nowhere', '', 'Mars/Olympus'])('refuses the zone `%s`', (zone) => {
    expect(() => createWindows({ calendar: 'day', zone })).toThrow(RangeError);
  });
});

/** At a start the clocks show a whole unit, or were changed just then. */
function expectBoundary(calendar: Calendar, zone: string, startMs: number): void {
  const [before, at] = [shown(zone, startMs - 1000), shown(zone, startMs)];
  const steady = Date.parse(`${at}Z`.replace(' ', 'T')) - Date.parse(`${before}Z`.replace(' ', 'T')) === 1000;
  if (!steady) return;
  const [date = '', time = ''] = at.split(' ');
  if (calendar === 'minute') expect(time.slice(6)).toBe('00');
  else if (calendar === 'hour') expect(time.slice(3)).toBe('00:00');
  else expect(time).toBe('00:00:00');
  if (calendar === 'month') expect(date.slice(8)).toBe('01');
  if (calendar === 'week') expect(new Date(`${date}T00:00:00Z`).getUTCDay()).toBe(1);
}
