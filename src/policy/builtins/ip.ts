import { isIPv4, isIPv6 } from 'node:net';

/** An address as a number; an IPv4 address that is mapped into IPv6 counts as IPv4, as in Go's `net`. */
export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** A network: its first address and the length of its prefix. */
export interface Network extends Address {
  readonly prefix: number;
  /** As Go prints it. */
  readonly text: string;
}

const MAPPED = 0xffffn << 32n;

/** `undefined` for all that is no plain IP address; zones are refused. */
export function parseAddress(text: string): Address | undefined {
  const value = parseBits(text);
  if (value === undefined) return undefined;
  if (value.bits === 128 && value.value >> 32n === 0xffffn) return { bits: 32, value: value.value - MAPPED };
  return value;
}

/** `address/prefix`; what lies behind the prefix is masked away. */
export function parseNetwork(text: string): Network | undefined {
  const cut = text.indexOf('/');
  if (cut < 0) return undefined;
  const length = text.slice(cut + 1);
  const address = parseBits(text.slice(0, cut));
  if (address === undefined || !/^[0-9]{1,7}$/.test(length)) return undefined;
  const prefix = Number(length);
  if (prefix > address.bits) return undefined;
  const value = mask(address.value, address.bits, prefix);
  // A mapped network acts as the IPv4 network of its last 32 bits.
  if (address.bits === 128 && value >> 32n === 0xffffn) {
    const mapped = { bits: 32, value: value - MAPPED } as const;
    return { ...mapped, prefix: Math.max(0, prefix - 96), text: `${formatAddress(mapped)}/${prefix - 96}` };
  }
  return { bits: address.bits, value, prefix, text: `${formatAddress({ bits: address.bits, value })}/${prefix}` };
}

export function contains(outer: Network, inner: Network): boolean {
  return (
    outer.bits === inner.bits &&
    outer.prefix <= inner.prefix &&
    mask(inner.value, outer.bits, outer.prefix) === outer.value
  );
}

export function lastOf({ bits, value, prefix }: Network): Address {
  return { bits, value: value | ((1n << BigInt(bits - prefix)) - 1n) };
}

/** The fewest networks that make up a range. */
export function toNetworks(bits: 32 | 128, first: bigint, last: bigint): string[] {
  const networks: string[] = [];
  for (let at = first; at <= last; ) {
    let size = 0;
    while (size < bits && (at >> BigInt(size)) % 2n === 0n && at + (1n << BigInt(size + 1)) - 1n <= last) size++;
    networks.push(`${formatAddress({ bits, value: at })}/${bits - size}`);
    at += 1n << BigInt(size);
  }
  return networks;
}

/** RFC 5952 for IPv6. */
export function formatAddress({ bits, value }: Address): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(112 - index * 16)) & 0xffffn));
  const { start, length } = longestZeros(groups);
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return length < 2 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

function mask(value: bigint, bits: number, prefix: number): bigint {
  const host = BigInt(bits - prefix);
  return (value >> host) << host;
}

function parseBits(text: string): Address | undefined {
  if (isIPv4(text)) return { bits: 32, value: parseIpv4(text) };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const dotted = /^(.*:)([0-9.]+)$/.exec(text);
  const tail = dotted?.[2]?.includes('.') ? dotted[2] : undefined;
  const v4 = tail === undefined ? 0n : parseIpv4(tail);
  const plain =
    tail === undefined ? text : `${dotted?.[1] ?? ''}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  const [head = '', rest] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = rest === undefined || rest === '' ? [] : rest.split(':');
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return { bits: 128, value: groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n) };
}

function parseIpv4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}
