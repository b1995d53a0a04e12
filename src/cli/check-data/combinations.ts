import type { MatchedRoute } from '../../decision/ports.ts';
import type { Principal } from '../../decision/principal.ts';
import type { RouteData } from '../../inspection/route-data.ts';
import type { Catalog } from './catalog.ts';

/** One question to the policy: this caller, on this route, by this method. */
export interface Combination {
  /** Absent for the anonymous. */
  readonly principal: Principal | undefined;
  readonly route: RouteData;
  readonly matched: MatchedRoute;
  readonly method: string;
  readonly path: string;
}

/**
 * Every caller that the data knows (each tenant in each tier, without roles and with all that a grant names; and the
 * anonymous) on every route, with every model and operation that the route can mean. Callers ask for their own tenant.
 */
export function* combinationsOf(catalog: Catalog): Generator<Combination> {
  for (const route of catalog.routes) {
    const models = route.model === undefined ? [undefined] : catalog.models;
    for (const [operation, methods] of operationsOf(route)) {
      for (const model of models) {
        for (const method of methods) {
          for (const principal of callersOf(catalog)) {
            yield combinationOf(route, { operation, model, method, principal });
          }
        }
      }
    }
  }
}

function operationsOf(route: RouteData): Iterable<readonly [string | undefined, Iterable<string>]> {
  if (route.kind === 'preflight') return [['preflight', route.methods]];
  return route.operations ?? [[route.operation, route.methods]];
}

function* callersOf({ tenants, tiers, roles }: Catalog): Generator<Principal | undefined> {
  yield undefined;
  for (const tenant of tenants) {
    for (const tier of tiers) {
      yield principalOf(tenant, tier, []);
      if (roles.length > 0) yield principalOf(tenant, tier, roles);
    }
  }
}

function principalOf(tenant: string, tier: string, roles: readonly string[]): Principal {
  const who = { kind: 'jwt', subject: 'check-data', issuer: 'urn:sallyport:check-data' } as const;
  return { ...who, tenant, tier, roles, scopes: [], claims: {}, credentials: [], demo: false };
}

interface Choice {
  readonly operation: string | undefined;
  readonly model: string | undefined;
  readonly method: string;
  readonly principal: Principal | undefined;
}

function combinationOf(route: RouteData, { operation, model, method, principal }: Choice): Combination {
  const tenant = route.tenant === undefined ? undefined : principal?.tenant;
  const values: ReadonlyMap<string, string | undefined> = new Map([
    ['tenant', tenant],
    ['model', model],
    ['operation', operation],
  ]);
  const names = route.pattern.flatMap((segment) => (segment.kind === 'parameter' ? [segment.name] : []));
  const params = Object.fromEntries(names.map((name) => [name, values.get(name) ?? 'any']));
  const path = route.pattern
    .map((segment) => (segment.kind === 'literal' ? segment.text : (params[segment.name] ?? '')))
    .join('/');
  const matched: MatchedRoute = {
    name: route.name,
    ...(tenant === undefined ? {} : { tenant }),
    ...(model === undefined ? {} : { model }),
    ...(operation === undefined ? {} : { operation }),
    params,
    requiredLimits: route.limits,
  };
  return { principal, route, matched, method, path: `/${path}` };
}
