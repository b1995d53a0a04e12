import { fieldsOf, type Ignorance } from './known-input.ts';

/**
 * Whether the event tells every value that the charges of a raw `limits` result are keyed by: a dimension that a request
 * has not verified is a fault of the policy, and here it would only not have been logged.
 */
export function ignoranceOfDimensions(
  limits: unknown,
  ignoranceOf: (path: string) => Ignorance | undefined,
): Ignorance | undefined {
  for (const charge of chargesIn(limits)) {
    const key = fieldsOf(charge)?.['key'];
    for (const dimension of Array.isArray(key) ? key : []) {
      const path = pathOf(dimension);
      const ignorance = path === undefined ? undefined : ignoranceOf(path);
      if (ignorance !== undefined) return ignorance;
    }
  }
  return undefined;
}

function chargesIn(limits: unknown): readonly unknown[] {
  if (Array.isArray(limits)) return limits;
  const plans = fieldsOf(limits)?.['plans'];
  return Array.isArray(plans) ? plans.flat() : [];
}

/** `undefined` for what every caller has, and for what comes of the route. */
function pathOf(dimension: unknown): string | undefined {
  if (typeof dimension !== 'string') return undefined;
  return dimension.startsWith('claim:') ? 'identity.claims' : PATHS.get(dimension);
}

const PATHS: ReadonlyMap<string, string> = new Map([
  ['tenant', 'identity.tenant'],
  ['key_id', 'identity.key_id'],
  ['tier', 'identity.tier'],
  ['peer', 'peer.spiffe_id'],
  ['address', 'network.client_ip'],
  ['country', 'network.country'],
]);
