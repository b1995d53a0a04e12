import { compareRego } from '../rego-order.ts';
import { isRegoArray, RegoNumber, RegoObject, RegoSet, type RegoValue, regoNumber } from '../rego-value.ts';
import { asString, type Builtin, type Builtins, collectionAt, FAILED, stringAt } from './builtin.ts';
import {
  type Address,
  contains,
  formatAddress,
  lastOf,
  type Network,
  parseAddress,
  parseNetwork,
  toNetworks,
} from './ip.ts';

/** OPA's `net.cidr` family, without those that Wasm has itself. Nothing here asks the network. */
export const NET_BUILTINS: Builtins = new Map<string, Builtin>([
  ['net.cidr_is_valid', ([text]) => typeof text === 'string' && parseNetwork(text) !== undefined],
  ['net.cidr_contains_matches', ([networks, candidates]) => containsMatches(networks, candidates)],
  ['net.cidr_expand', (args) => expand(network(stringAt(args, 0)))],
  ['net.cidr_merge', (args) => merge(collectionAt(args, 0))],
]);

function network(text: string): Network {
  const parsed = parseNetwork(text);
  if (parsed === undefined) throw FAILED;
  return parsed;
}

/** A /16 of IPv4. More would be a way to fill the memory. */
const MAX_EXPANDED = 65_536n;

function expand(whole: Network): RegoSet {
  const last = lastOf(whole).value;
  if (last - whole.value >= MAX_EXPANDED)
    throw new Error(`\`net.cidr_expand\` gives more than ${MAX_EXPANDED} addresses`);
  const addresses: string[] = [];
  for (let value = whole.value; value <= last; value++) addresses.push(formatAddress({ bits: whole.bits, value }));
  return new RegoSet(addresses);
}

function containsMatches(networks: RegoValue | undefined, candidates: RegoValue | undefined): RegoSet {
  const found: RegoValue[] = [];
  const right = indexed(candidates).map(([text, index]) => [containable(text), index] as const);
  for (const [text, index] of indexed(networks)) {
    const outer = network(text);
    for (const [inner, innerIndex] of right) if (contains(outer, inner)) found.push([index, innerIndex]);
  }
  return new RegoSet(found);
}

function containable(text: string): Network {
  const address = parseAddress(text);
  return address === undefined ? network(text) : { ...address, prefix: address.bits, text };
}

/** Each network with what the result names it by: itself, its position, or its key. */
function indexed(value: RegoValue | undefined): readonly (readonly [string, RegoValue])[] {
  if (typeof value === 'string') return [[value, value]];
  if (value instanceof RegoSet) return value.items.map((item) => [networkText(item), item]);
  if (value instanceof RegoObject) return value.entries.map(([key, item]) => [networkText(item), key]);
  if (isRegoArray(value)) return value.map((item, position) => [networkText(item), regoNumber(position)]);
  if (value === null || typeof value === 'boolean' || value instanceof RegoNumber) return [];
  throw FAILED;
}

function networkText(item: RegoValue): string {
  return asString(isRegoArray(item) ? item[0] : item);
}

function merge(items: readonly RegoValue[]): RegoSet {
  const networks = items.map((item) => mergeable(asString(item)));
  const merged: string[] = [];
  for (const bits of [32, 128] as const) merged.push(...mergeFamily(networks.filter((each) => each.bits === bits)));
  return new RegoSet([...new Set(merged)].sort(compareRego));
}

function mergeable(text: string): Network {
  const address = parseAddress(text);
  if (address === undefined) return network(text);
  if (address.bits !== 32) throw FAILED;
  // A bare IPv4 address stands for the network of its historical class.
  return { ...address, prefix: classPrefix(address), text: `${formatAddress(address)}/${classPrefix(address)}` };
}

function classPrefix({ value }: Address): number {
  const first = Number(value >> 24n);
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}

interface Range {
  readonly first: bigint;
  readonly last: bigint;
  /** The network's own text, while nothing was merged into it. */
  readonly text: string | undefined;
}

function mergeFamily(networks: readonly Network[]): readonly string[] {
  const bits = networks[0]?.bits;
  if (bits === undefined) return [];
  const ranges: Range[] = networks
    .map((each) => {
      const size = 1n << BigInt(bits - each.prefix);
      const first = each.value - (each.value % size);
      return { first, last: first + size - 1n, text: each.text };
    })
    .sort((a, b) => order(a.last, b.last) || order(a.first, b.first));
  for (let at = ranges.length - 1; at > 0; at--) {
    const upper = ranges[at];
    const lower = ranges[at - 1];
    if (upper === undefined || lower === undefined || upper.first - 1n > lower.last) continue;
    const first = upper.first < lower.first ? upper.first : lower.first;
    ranges.splice(at - 1, 2, { first, last: upper.last, text: undefined });
  }
  return ranges.flatMap((range) =>
    range.text === undefined ? toNetworks(bits, range.first, range.last) : [range.text],
  );
}

function order(left: bigint, right: bigint): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
