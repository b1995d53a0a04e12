import { isArray, isObject, sortedEntries } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure, textOperand } from './builtin.ts';
import { mergeNetworks } from './cidr-merge.ts';
import { GenerationCache } from './generation-cache.ts';
import { contains, formatAddress, lastOf, type Network, parseAddress, parseIpv4, parseNetwork } from './ip.ts';

/** OPA's `net.cidr` family. Nothing here asks the network. */
export const NET_BUILTINS: Builtins = new Map<string, Builtin>([
  ['net.cidr_contains', containsAddress],
  // Deprecated in OPA, and the same there.
  ['net.cidr_overlap', containsAddress],
  ['net.cidr_intersects', intersects],
  ['net.cidr_is_valid', (_context, text) => typeof text === 'string' && parseNetwork(text) !== undefined],
  ['net.cidr_contains_matches', containsMatches],
  ['net.cidr_expand', expand],
  ['net.cidr_merge', merge],
]);

/** Networks of policies and their data are asked about again and again; what callers send may fill no more than this. */
const known = new GenerationCache<Network>(1_024, 64);

function networkOf(context: BuiltinContext, value: Value): Network {
  // OPA calls it the first operand wherever it stands.
  const text = textOperand(context, value, 1);
  const before = known.get(text);
  if (before !== undefined) return before;
  const network = parseNetwork(text);
  if (network === undefined) throw builtinFailure(context, `invalid CIDR address: ${text}`);
  known.set(text, network);
  return network;
}

function containsAddress(context: BuiltinContext, network: Value, candidate: Value): boolean {
  const outer = networkOf(context, network);
  const text = textOperand(context, candidate, 1);
  if (outer.bits === 32) {
    const ipv4 = parseIpv4(text);
    if (ipv4 !== undefined) return (ipv4 & outer.mask32) === outer.first32;
  }
  const address = parseAddress(text);
  if (address !== undefined) return contains(outer, { ...address, prefix: address.bits });
  const inner = known.get(text) ?? parseNetwork(text);
  if (inner !== undefined) return contains(outer, inner);
  throw builtinFailure(context, `not a valid textual representation of an IP address or CIDR: ${text}`);
}

function intersects(context: BuiltinContext, left: Value, right: Value): boolean {
  const one = networkOf(context, left);
  const other = networkOf(context, right);
  return contains(one, other) || contains(other, one);
}

const STEPS_PER_MATCH = 10;

function containsMatches(context: BuiltinContext, networks: Value, candidates: Value): RegoSet {
  const outer = named(networks);
  const inner = named(candidates);
  context.charge(outer.length * inner.length * STEPS_PER_MATCH);
  const found = new RegoSet();
  for (const [network, name] of outer) {
    const cidr = matchable(context, network, 1);
    for (const [candidate, candidateName] of inner) {
      if (containsAddress(context, cidr, matchable(context, candidate, 2))) found.add([name, candidateName]);
    }
  }
  return found;
}

/** Each network with what the result names it by: itself, its position, or its key. */
function named(value: Value): readonly (readonly [Value, Value])[] {
  if (typeof value === 'string') return [[value, value]];
  if (isArray(value)) return value.map((item, position) => [item, position]);
  if (value instanceof RegoSet) return value.sorted().map((item) => [item, item]);
  if (isObject(value)) return sortedEntries(value).map(([key, item]) => [item, key]);
  return [];
}

function matchable(context: BuiltinContext, item: Value, position: number): Value {
  const cidr = isArray(item) ? item[0] : item;
  if (cidr !== undefined && (isArray(item) || typeof cidr === 'string')) return cidr;
  throw builtinFailure(context, `operand ${position}: element must be string or non-empty array`);
}

/** A /16 of IPv4. More would be a way to fill the memory. */
const MAX_EXPANDED = 65_536n;
const STEPS_PER_ADDRESS = 40;

function expand(context: BuiltinContext, operand: Value): RegoSet {
  const network = networkOf(context, operand);
  const { bits, value: first } = network;
  const last = lastOf(network);
  const count = last - first + 1n;
  if (count > MAX_EXPANDED) throw new Error(`\`net.cidr_expand\` gives more than ${MAX_EXPANDED} addresses`);
  context.charge(Number(count) * STEPS_PER_ADDRESS);
  const addresses = new RegoSet();
  for (let value = first; value <= last; value++) addresses.add(formatAddress({ bits, value }));
  return addresses;
}

const STEPS_PER_MERGED = 200;

function merge(context: BuiltinContext, operand: Value): RegoSet {
  const items = operand instanceof RegoSet ? operand.sorted() : operand;
  if (!isArray(items)) throw builtinFailure(context, 'operand must be an array');
  context.charge(items.length * STEPS_PER_MERGED);
  return RegoSet.of(mergeNetworks(items.map((item) => mergeable(context, item))));
}

function mergeable(context: BuiltinContext, item: Value): Network {
  if (typeof item !== 'string') throw builtinFailure(context, 'element must be string');
  const address = parseAddress(item);
  if (address === undefined) return networkOf(context, item);
  if (address.bits !== 32) throw builtinFailure(context, 'IPv6 invalid: needs prefix length');
  // A bare IPv4 address stands for the network of its historical class, but prints as itself.
  const text = `${formatAddress(address)}/${classPrefix(address.value)}`;
  return { ...networkOf(context, text), text };
}

function classPrefix(address: bigint): number {
  const first = Number(address >> 24n);
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}
