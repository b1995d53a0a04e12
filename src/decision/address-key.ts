/**
 * By what an address is counted: an IPv4 address itself, of an IPv6 address its /64, within which a client picks freely.
 * Takes canonical texts (RFC 5952), whose one `::` may stand anywhere.
 */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  if (tail === undefined) return `${before.slice(0, 4).join(':')}::/64`;
  const after = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`;
}
