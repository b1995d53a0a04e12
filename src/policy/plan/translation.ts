import type { Position } from './plan.ts';

/** A plan as JavaScript; can be cloned to another thread. */
export interface Translation {
  /**
   * One expression: a function of the runtime's names (`RUNTIME_NAMES`) that returns {@link GeneratedPolicy}. It names
   * only `f<int>`, `l<int>`, `b<int>`, `c<int>`, the runtime's names, and has no literals but integers, booleans, `null`.
   */
  readonly source: string;
  readonly constants: readonly Constant[];
  /** By the number with which the source asks for them. */
  readonly builtins: readonly string[];
  readonly entrypoints: readonly string[];
  /** Functions that dynamic calls find, in the order in which the source returns them. */
  readonly dynamic: readonly { readonly path: readonly string[]; readonly takes: number }[];
  readonly conflicts: readonly string[];
  /** With `trace`: what the numbers mean that the observer is called with. */
  readonly positions: readonly TracePosition[];
  readonly files: readonly string[];
}

export type Constant =
  | null
  | boolean
  | string
  | { readonly number: string }
  | { readonly path: readonly string[] }
  | { readonly array: readonly Constant[] }
  | { readonly set: readonly Constant[] }
  | { readonly object: readonly (readonly [Constant, Constant])[] };

export interface TracePosition extends Position {
  /** The plan's name of the function or entrypoint: `g0.data.authz.allow`. */
  readonly function: string;
}
