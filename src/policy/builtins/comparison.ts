import { compare, equal } from '../values/order.ts';
import type { Builtin, Builtins } from './builtin.ts';

/** OPA's comparisons, in Rego's order over all values. */
export const COMPARISON_BUILTINS: Builtins = new Map<string, Builtin>([
  ['equal', (_, a, b) => a === b || equal(a, b)],
  ['neq', (_, a, b) => a !== b && !equal(a, b)],
  ['lt', (_, a, b) => (typeof a === 'number' && typeof b === 'number' ? a < b : compare(a, b) < 0)],
  ['lte', (_, a, b) => (typeof a === 'number' && typeof b === 'number' ? a <= b : compare(a, b) <= 0)],
  ['gt', (_, a, b) => (typeof a === 'number' && typeof b === 'number' ? a > b : compare(a, b) > 0)],
  ['gte', (_, a, b) => (typeof a === 'number' && typeof b === 'number' ? a >= b : compare(a, b) >= 0)],
]);
