/**
 * Writes `src/policy/builtins/zone-names.ts` from a compiled time zone database: `node tools/zone-names.ts FOLDER`, where
 * the folder is that of the system, `/usr/share/zoneinfo`, or an unpacked `zoneinfo.zip` of Go's.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
if (folder === undefined) throw new Error('name the folder of the time zone database');

interface Period {
  /** Seconds since 1970. */
  readonly from: number;
  readonly offsetSeconds: number;
  readonly name: string;
}

const groups = new Map<string, string[]>();
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const zone = path.slice(join(folder, '/').length);
  const bytes = readFileSync(path);
  if (bytes.toString('latin1', 0, 4) !== 'TZif' || /^(?:posix|right)|^(?:localtime|posixrules|Factory)$/.test(zone))
    continue;
  const names = summary(periodsOf(bytes));
  groups.set(names, [...(groups.get(names) ?? []), zone]);
}
const lines = [...groups]
  .map(([names, zones]) => [names, zones.sort().join(' ')] as const)
  .sort(([, left], [, right]) => (left < right ? -1 : 1))
  .map(([names, zones]) => `  '${names}':\n    '${zones}',`);
writeFileSync(
  'src/policy/builtins/zone-names.ts',
  [
    '/**',
    ' * What clocks are called since 1970, by zone: `SECONDS:NAMEOFFSET,…;…` are the names by their offsets from a second on.',
    ' * An offset that is not named is called by itself: `+03`. Made by `tools/zone-names.ts`.',
    ' */',
    'export const ZONE_NAMES: { readonly [names: string]: string } = {',
    ...lines,
    '};',
    '',
  ].join('\n'),
);

/** RFC 9636: the second block, with times of 64 bits, and the rule for the time behind them. */
function periodsOf(bytes: Buffer): readonly Period[] {
  const first = countsAt(bytes, 0);
  const start =
    44 + first.times * 5 + first.types * 6 + first.characters + first.leaps * 8 + first.standards + first.universals;
  const { times, types, characters, leaps, standards, universals } = countsAt(bytes, start);
  const timesAt = start + 44;
  const indexesAt = timesAt + times * 8;
  const typesAt = indexesAt + times;
  const charactersAt = typesAt + types * 6;
  const typeAt = (index: number): Omit<Period, 'from'> => {
    const nameAt = charactersAt + bytes.readUInt8(typesAt + index * 6 + 5);
    return {
      offsetSeconds: bytes.readInt32BE(typesAt + index * 6),
      name: bytes.toString('latin1', nameAt, bytes.indexOf(0, nameAt)),
    };
  };
  const periods: Period[] = [{ from: -Infinity, ...typeAt(0) }];
  for (let at = 0; at < times; at++) {
    const from = Number(bytes.readBigInt64BE(timesAt + at * 8));
    periods.push({ from, ...typeAt(bytes.readUInt8(indexesAt + at)) });
  }
  const rule = bytes.toString('latin1', charactersAt + characters + leaps * 12 + standards + universals).trim();
  const last = periods.at(-1)?.from ?? 0;
  const since = periods.filter(({ from }, index) => from >= 0 || (periods[index + 1]?.from ?? Infinity) > 0);
  return [...since, ...ruled(rule).map((period) => ({ from: last, ...period }))];
}

function countsAt(
  bytes: Buffer,
  at: number,
): Record<'universals' | 'standards' | 'leaps' | 'times' | 'types' | 'characters', number> {
  const count = (position: number): number => bytes.readUInt32BE(at + 20 + position * 4);
  return {
    universals: count(0),
    standards: count(1),
    leaps: count(2),
    times: count(3),
    types: count(4),
    characters: count(5),
  };
}

/** The clocks of `CET-1CEST,M3.5.0,M10.5.0/3`. */
function ruled(rule: string): readonly Omit<Period, 'from'>[] {
  const part = /(?:<([^>]+)>|([A-Za-z]+))([+-]?[0-9:]+)?/g;
  const found: Omit<Period, 'from'>[] = [];
  let standard = 0;
  for (const [, quoted, plain, text] of (rule.split(',')[0] ?? '').matchAll(part)) {
    const [hours = '0', minutes = '0', seconds = '0'] = (text ?? '').replace(/^[+-]/, '').split(':');
    const size = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
    const offsetSeconds = text === undefined ? standard + 3_600 : text.startsWith('-') ? size : -size;
    if (found.length === 0) standard = offsetSeconds;
    found.push({ offsetSeconds, name: quoted ?? plain ?? '' });
  }
  return found;
}

/** A new part begins only where an offset changes its name. */
function summary(periods: readonly Period[]): string {
  const parts: { readonly from: number; readonly names: Map<number, string> }[] = [];
  for (const { from, offsetSeconds, name } of periods) {
    const last = parts.at(-1);
    const before = last?.names.get(offsetSeconds);
    if (last === undefined || (before !== undefined && before !== name)) {
      parts.push({ from: Math.max(from, 0), names: new Map([[offsetSeconds, name]]) });
    } else last.names.set(offsetSeconds, name);
  }
  return parts
    .map(({ from, names }) => {
      const named = [...names].filter(([offset, name]) => name !== numberName(offset)).sort(([a], [b]) => a - b);
      return `${from}:${named.map(([offset, name]) => `${name}${offset < 0 ? '' : '+'}${offset}`).join(',')}`;
    })
    .join(';');
}

function numberName(offsetSeconds: number): string {
  const minutes = Math.abs(Math.trunc(offsetSeconds / 60));
  const text =
    String(Math.floor(minutes / 60)).padStart(2, '0') +
    (minutes % 60 === 0 ? '' : String(minutes % 60).padStart(2, '0'));
  return (offsetSeconds < 0 ? '-' : '+') + text;
}
