import { isIPv4, isIPv6 } from 'node:net';

/**
 * One text per address: IPv4 dotted, IPv4-mapped IPv6 as IPv4, IPv6 by RFC 5952. `undefined` for everything that is
 * no address, zone ids included.
 */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (text.includes('%') || !isIPv6(text)) return undefined;
  const groups = toGroups(text);
  return isMapped(groups) ? toDotted(groups) : toRfc5952(groups);
}

/** The eight groups of a text that is known to be an IPv6 address. */
function toGroups(text: string): readonly number[] {
  const [head = '', tail] = text.split('::');
  const left = partGroups(head);
  if (tail === undefined) return left;
  const right = partGroups(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function partGroups(part: string): readonly number[] {
  if (part === '') return [];
  return part.split(':').flatMap((piece) => {
    if (!piece.includes('.')) return [Number.parseInt(piece, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = piece.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** RFC 4291 §2.5.5.2: `::ffff:0:0/96`. */
function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
}

function toDotted(groups: readonly number[]): string {
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 255])
    .join('.');
}

function toRfc5952(groups: readonly number[]): string {
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  // RFC 5952 §4.2.2: `::` does not stand for a single group.
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (groups[i] === 0) continue;
    if (i - start > best.length) best = { start, length: i - start };
    start = i + 1;
  }
  return best;
}
