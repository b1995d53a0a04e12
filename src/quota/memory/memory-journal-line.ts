import { crc32 } from 'node:zlib';
import type { KeptWindow } from './memory-windows.ts';

/** One window as one line, which begins with the CRC-32 of the rest. */
export function toJournalLine(kept: KeptWindow): string {
  const { h0, h1, h2, h3, region, shared, startMs, endMs, used } = kept;
  const digest = [h0, h1, h2, h3].map((part) => (part >>> 0).toString(16).padStart(8, '0')).join('');
  const where = shared === undefined ? region : `${region}/${shared.group}/${shared.groups}`;
  const text = `${digest} ${where} ${startMs} ${endMs} ${used}`;
  return `${checksum(text)} ${text}\n`;
}

/** `undefined` for a line that {@link toJournalLine} did not write, or that changed since. */
export function parseJournalLine(line: string): KeptWindow | undefined {
  const text = line.slice(9);
  if (line[8] !== ' ' || line.slice(0, 8) !== checksum(text)) return undefined;
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [, digest = '', region, group, groups, startMs, endMs, used] = match;
  const part = (nth: number): number => Number.parseInt(digest.slice(nth * 8, nth * 8 + 8), 16) | 0;
  const kept = {
    h0: part(0),
    h1: part(1),
    h2: part(2),
    h3: part(3),
    region: region === 'callers' ? ('callers' as const) : ('outsiders' as const),
    startMs: Number(startMs),
    endMs: Number(endMs),
    used: Number(used),
  };
  return group === undefined ? kept : { ...kept, shared: { group: Number(group), groups: Number(groups) } };
}

const PATTERN = /^([0-9a-f]{32}) (callers|outsiders)(?:\/(\d{1,4})\/(\d{1,4}))? (-?\d{1,16}) (-?\d{1,16}) (\d{1,16})$/;

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
