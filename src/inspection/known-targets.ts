import { ownText } from '../decision/own-text.ts';
import type { Inference, MatchedRoute } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';
import { type CanonicalPath, canonicalPath } from './canonical-path.ts';
import { isRefusal } from './refusal.ts';
import type { CompiledRoute } from './route-table.ts';

/** A target that a request was let through with, and the route that the last such request matched. */
export class KnownTarget {
  readonly canonical: CanonicalPath;
  #by: CompiledRoute | undefined;
  #route: MatchedRoute | undefined;

  constructor(canonical: CanonicalPath) {
    this.canonical = canonical;
  }

  /** INVARIANT: the same that would be made anew: all that a matched route says comes from what is compared here. */
  matched(
    by: CompiledRoute,
    principal: Principal | undefined,
    inference: Inference | undefined,
  ): MatchedRoute | undefined {
    const route = this.#route;
    if (route === undefined || this.#by !== by) return undefined;
    if (by.tenant === 'token' && principal?.tenant !== route.tenant) return undefined;
    const model = inference?.model;
    if (model === undefined ? by.model === 'body' : model !== route.model) return undefined;
    return route;
  }

  /** Answers the same route, which from here on stands for all requests. */
  keep(by: CompiledRoute, route: MatchedRoute): MatchedRoute {
    const { model } = route;
    this.#by = by;
    this.#route = Object.freeze(model === undefined ? route : { ...route, model: ownText(model) });
    return this.#route;
  }
}

/**
 * The targets that clients ask for again and again: what is read of one depends on nothing else, so that only the work is
 * spared, and its route is one object for all requests.
 */
export interface KnownTargets {
  get(target: string): KnownTarget | undefined;
  /** Keeps a target; only for a request that was let through, so that nobody else's take room here. */
  add(target: string): void;
}

/** Measured: a third of an inspection, and it lets the log write a place once (`decision-log/known-places`). */
export function createKnownTargets(): KnownTargets {
  let targets = new Map<string, KnownTarget>();
  return {
    get: (target) => (target.length > LONGEST ? undefined : targets.get(target)),
    add: (target) => {
      if (target.length > LONGEST || target.includes('?')) return;
      const copy = ownText(target);
      const canonical = canonicalPath(copy);
      if (isRefusal(canonical)) return;
      if (targets.size >= MOST) targets = new Map();
      targets.set(copy, new KnownTarget(canonical));
    },
  };
}

const LONGEST = 128;
const MOST = 1024;
