import { isIPv6 } from 'node:net';

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
  /** The same of IPv4 in machine words, 0 for IPv6. */
  readonly first32: number;
  readonly mask32: number;
}

/** Where IPv6 maps 0.0.0.0. */
export const MAPPED: bigint = 0xffffn << 32n;

/** `undefined` for all that is no plain IP address; zones are refused. */
export function parseAddress(text: string): Address | undefined {
  const value = parseBits(text);
  return value?.bits === 128 && isMapped(value.value) ? { bits: 32, value: value.value - MAPPED } : value;
}

const PREFIX = /^0*[0-9]{1,3}$/;

/** `address/prefix`; what lies behind the prefix is masked away. */
export function parseNetwork(text: string): Network | undefined {
  const cut = text.indexOf('/');
  if (cut < 0) return undefined;
  const length = text.slice(cut + 1);
  const address = parseBits(text.slice(0, cut));
  if (address === undefined || !PREFIX.test(length)) return undefined;
  const prefix = Number(length);
  if (prefix > address.bits) return undefined;
  const first = mask(address.value, address.bits, prefix);
  if (address.bits === 32) return ipv4Network(first, prefix);
  // A mapped network acts as the IPv4 network of its last 32 bits.
  if (isMapped(first)) return ipv4Network(first - MAPPED, prefix - 96);
  return { bits: 128, value: first, prefix, text: formatNetwork(first, prefix), first32: 0, mask32: 0 };
}

function ipv4Network(value: bigint, prefix: number): Network {
  return {
    bits: 32,
    value,
    prefix,
    text: `${formatAddress({ bits: 32, value })}/${prefix}`,
    first32: Number(value) | 0,
    // A shift by 32 is one by 0.
    mask32: prefix === 0 ? 0 : -1 << (32 - prefix),
  };
}

export function contains(outer: Network, inner: Address & { readonly prefix: number }): boolean {
  return (
    outer.bits === inner.bits &&
    outer.prefix <= inner.prefix &&
    mask(inner.value, outer.bits, outer.prefix) === outer.value
  );
}

/** The last address as a number. */
export function lastOf({ bits, value, prefix }: Network): bigint {
  return value | ((1n << BigInt(bits - prefix)) - 1n);
}

/** A network of IPv6; one of mapped addresses prints as IPv4. */
export function formatNetwork(first: bigint, prefix: number): string {
  if (isMapped(first)) return `${formatAddress({ bits: 32, value: first - MAPPED })}/${prefix - 96}`;
  return `${formatAddress({ bits: 128, value: first })}/${prefix}`;
}

function isMapped(value: bigint): boolean {
  return value >> 32n === 0xffffn;
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
  const ipv4 = parseIpv4(text);
  if (ipv4 !== undefined) return { bits: 32, value: BigInt(ipv4 >>> 0) };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const dotted = /^(.*:)([0-9.]+)$/.exec(text);
  const tail = dotted?.[2]?.includes('.') ? dotted[2] : undefined;
  const v4 = tail === undefined ? 0 : (parseIpv4(tail) ?? 0);
  const plain =
    tail === undefined ? text : `${dotted?.[1] ?? ''}${(v4 >>> 16).toString(16)}:${(v4 & 0xffff).toString(16)}`;
  const [head = '', rest] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = rest === undefined || rest === '' ? [] : rest.split(':');
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return { bits: 128, value: groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n) };
}

/** Four decimal numbers without needless zeros, as a machine word that may be negative. */
export function parseIpv4(text: string): number | undefined {
  if (text.length > 15) return undefined;
  let word = 0;
  let part = -1;
  let parts = 1;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x2e) {
      if (part < 0 || parts === 4) return undefined;
      word = (word << 8) | part;
      part = -1;
      parts++;
    } else if (unit >= 0x30 && unit <= 0x39) {
      if (part === 0) return undefined;
      part = part < 0 ? unit - 0x30 : part * 10 + unit - 0x30;
      if (part > 255) return undefined;
    } else return undefined;
  }
  return parts === 4 && part >= 0 ? (word << 8) | part : undefined;
}
