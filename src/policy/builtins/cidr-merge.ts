import { formatNetwork, MAPPED, type Network } from './ip.ts';

/** Addresses of both families on one line, IPv4 where IPv6 maps it. */
interface Range {
  readonly first: bigint;
  readonly last: bigint;
  /** The network's own text, while nothing was merged into it. */
  readonly text: string | undefined;
}

/** The networks as few as can be: overlapping and adjacent ones are made one, as `net.cidr_merge` prints them. */
export function mergeNetworks(networks: readonly Network[]): readonly string[] {
  const merged: Range[] = [];
  // From the top: what a range reaches down to takes in the ones below it.
  for (const lower of networks.map(rangeOf).sort((a, b) => order(b.last, a.last) || order(b.first, a.first))) {
    const upper = merged.at(-1);
    if (upper === undefined || before(upper.first) > lower.last) {
      merged.push(lower);
      continue;
    }
    const first = upper.first < lower.first ? upper.first : lower.first;
    merged[merged.length - 1] = { first, last: upper.last, text: undefined };
  }
  return merged.flatMap(({ first, last, text }) => (text === undefined ? toNetworks(first, last) : [text]));
}

function rangeOf({ bits, value, prefix, text }: Network): Range {
  const first = bits === 32 ? MAPPED + value : value;
  return { first, last: first + (1n << BigInt(bits - prefix)) - 1n, text };
}

/** The address before, but nothing comes before 0.0.0.0. */
function before(address: bigint): bigint {
  return address === MAPPED ? address : address - 1n;
}

function order(left: bigint, right: bigint): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The fewest networks that make up a range. */
function toNetworks(first: bigint, last: bigint): string[] {
  const networks: string[] = [];
  for (let at = first; at <= last; ) {
    let size = 0;
    while (size < 128 && (at >> BigInt(size)) % 2n === 0n && at + (1n << BigInt(size + 1)) - 1n <= last) size++;
    networks.push(formatNetwork(at, 128 - size));
    at += 1n << BigInt(size);
  }
  return networks;
}
