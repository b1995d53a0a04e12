import { isObject } from '../../decision/json.ts';
import type { RouteData } from '../../inspection/route-data.ts';
import type { Warning } from './lint.ts';

type Report = (path: string, message: string) => void;
type Data = { readonly [key: string]: unknown };
type Section = ReadonlyMap<string, Data>;

/** What the limits of a catalog are compared with. */
export interface LimitsContext {
  readonly routes: readonly RouteData[];
  readonly limits: Section;
  readonly tiers: Section;
  readonly models: Section;
  readonly tenants: Section;
  readonly overrides: unknown;
  readonly prices: unknown;
  readonly services: unknown;
  readonly report: Report;
}

/** Reports what in the limits does not go with the rest: names that nothing has, and callers or models left without terms. */
export function checkLimits(context: LimitsContext): void {
  const { limits, tiers, models, report } = context;
  for (const [name, limit] of limits) {
    for (const member of ['size', 'burst']) {
      checkNamed(limit[member], 'by_tier', tiers, `catalog.limits.${name}.${member}`, report);
      checkNamed(limit[member], 'by_model', models, `catalog.limits.${name}.${member}`, report);
    }
  }
  for (const name of Object.keys(isObject(context.prices) ? context.prices : {})) {
    if (!models.has(name)) report(`catalog.prices.${name}`, 'is for a model that `catalog.models` does not have');
  }
  checkOverridden(context);
  for (const route of context.routes) {
    for (const name of route.limits) {
      const limit = limits.get(name);
      if (limit !== undefined) checkRequired(route, name, limit, context);
    }
  }
  for (const [name, service] of Object.entries(isObject(context.services) ? context.services : {})) {
    if (isObject(service)) checkService(service, `catalog.services.${name}`, context);
  }
}

/** Warns of overrides that are over at `nowMs`. */
export function lintOverrides(overrides: unknown, nowMs: number): readonly Warning[] {
  if (!isObject(overrides)) return [];
  return Object.entries(overrides).flatMap(([name, list]) =>
    (Array.isArray(list) ? list : []).flatMap((one: unknown, at): readonly Warning[] => {
      const until = isObject(one) ? Date.parse(String(one['until'])) : Number.NaN;
      if (!(until <= nowMs)) return [];
      const message = 'is over and does nothing: take it away, or put off its `until`';
      return [{ path: `catalog.overrides.${name}[${at}]`, warning: 'expired_override', message }];
    }),
  );
}

/** Warns of bursts below their size: a call of that size never passes. */
export function lintBursts(limits: unknown): readonly Warning[] {
  if (!isObject(limits)) return [];
  return Object.entries(limits).flatMap(([name, limit]): readonly Warning[] => {
    if (!isObject(limit) || limit['burst'] === undefined) return [];
    const sizes = amountsOf(limit['size']);
    const bursts = amountsOf(limit['burst']);
    const [anySize] = sizes.values();
    const [anyBurst] = bursts.values();
    const below = [...new Set([...sizes.keys(), ...bursts.keys()])].some((of) => {
      const [size, burst] = [sizes.get(of) ?? anySize, bursts.get(of) ?? anyBurst];
      return typeof size === 'number' && typeof burst === 'number' && burst < size;
    });
    const message = 'is below its `size`, of which so much never fits at once: leave it out where that is not meant';
    return below ? [{ path: `catalog.limits.${name}.burst`, warning: 'burst_below_size', message }] : [];
  });
}

/** By `by_tier.NAME` or `by_model.NAME`, or by nothing where there is but one. */
function amountsOf(value: unknown): ReadonlyMap<string, unknown> {
  if (!isObject(value)) return new Map([['', value]]);
  return new Map(
    Object.entries(value).flatMap(([by, amounts]) =>
      Object.entries(isObject(amounts) ? amounts : {}).map(([name, amount]) => [`${by}.${name}`, amount] as const),
    ),
  );
}

/** Every tier, or every model, must have an amount, and none that there is not. */
function checkNamed(value: unknown, by: string, known: Section, path: string, report: Report): void {
  const amounts = isObject(value) ? value[by] : undefined;
  if (!isObject(amounts)) return;
  const kind = by.slice('by_'.length);
  for (const name of Object.keys(amounts)) {
    if (!known.has(name)) report(`${path}.${by}.${name}`, `is for the unknown ${kind} \`${name}\``);
  }
  for (const name of known.keys()) {
    if (!Object.hasOwn(amounts, name)) {
      report(
        `${path}.${by}`,
        `names nothing for the ${kind} \`${name}\`, which denies: name a number, or \`unlimited\``,
      );
    }
  }
}

function checkOverridden({ overrides, tenants, models, report }: LimitsContext): void {
  for (const [name, list] of Object.entries(isObject(overrides) ? overrides : {})) {
    for (const [at, one] of (Array.isArray(list) ? list : []).entries()) {
      const whom: unknown = isObject(one) ? one['for'] : undefined;
      if (!isObject(whom)) continue;
      const path = `catalog.overrides.${name}[${at}].for`;
      for (const [dimension, known] of [['tenant', tenants] as const, ['model', models] as const]) {
        const named = whom[dimension];
        if (typeof named === 'string' && !known.has(named)) report(path, `names the unknown ${dimension} \`${named}\``);
      }
    }
  }
}

function checkRequired(route: RouteData, name: string, limit: Data, context: LimitsContext): void {
  const { models, tiers, prices, report } = context;
  const path = `catalog.routes.${route.name}.limits`;
  const key: readonly unknown[] = Array.isArray(limit['key']) ? limit['key'] : [];
  const hasOperation = route.operation !== undefined || route.operations !== undefined || route.kind === 'preflight';
  if (key.includes('model') && route.model === undefined) {
    report(path, `requires \`${name}\`, whose key has the \`model\`, and this route has none`);
  }
  if (key.includes('operation') && !hasOperation) {
    report(path, `requires \`${name}\`, whose key has the \`operation\`, and this route has none`);
  }
  if (route.kind === 'preflight' && !key.includes('address')) {
    report(
      path,
      `requires \`${name}\`, by which the anonymous are not charged: preflights need one with \`address\` in its key`,
    );
  }
  const cost = limit['cost'];
  if (cost === 'estimated_tokens' || cost === 'estimated_price') {
    if (route.body === 'none')
      report(path, `requires \`${name}\`, which is estimated of the body, and \`body\` is \`none\``);
    if (route.model === undefined)
      report(path, `requires \`${name}\`, which is estimated by model, and this route has none`);
    for (const [model, { max_output_tokens: most }] of models) {
      for (const [tier, { max_output_tokens: least }] of tiers) {
        if (most !== undefined || least !== undefined) continue;
        report(
          `catalog.models.${model}`,
          `has no \`max_output_tokens\`, and neither has the tier \`${tier}\`: \`${name}\` refuses requests that name none`,
        );
      }
    }
  }
  if (limit['unit'] !== 'nano_usd' || (cost !== 'estimated_price' && limit['reserve'] === undefined)) return;
  for (const model of models.keys()) {
    if (!isObject(prices) || !Object.hasOwn(prices, model)) {
      report(`catalog.prices.${model}`, `is missing: \`${name}\` is counted by it, and denies`);
    }
  }
}

/** Of a service no tenant, key, tier or claim is known. */
function checkService(service: Data, path: string, { routes, limits, report }: LimitsContext): void {
  const own: readonly unknown[] = Array.isArray(service['limits']) ? service['limits'] : [];
  if (!Array.isArray(service['limits']))
    report(`${path}.limits`, 'is not a list: name its limits, or say that there are none by `[]`');
  const calls: readonly unknown[] = Array.isArray(service['calls']) ? service['calls'] : [];
  const called = new Set(
    calls.flatMap((call) => (isObject(call) && Array.isArray(call['routes']) ? call['routes'] : [])),
  );
  const ofRoutes = routes.flatMap((route) => (called.has(route.name) ? route.limits : []));
  for (const name of own) {
    if (!limits.has(String(name))) report(`${path}.limits`, `names the limit \`${String(name)}\`, which has no terms`);
  }
  for (const name of new Set([...own, ...ofRoutes])) {
    const limit = limits.get(String(name));
    if (limit === undefined || limit['service_key'] !== undefined || !Array.isArray(limit['key'])) continue;
    const lacking = limit['key'].filter((one) => NOT_OF_SERVICES.has(one) || String(one).startsWith('claim:'));
    if (lacking.length === 0) continue;
    report(
      `catalog.limits.${String(name)}.service_key`,
      `is missing: \`${path}\` is charged by it and has no \`${lacking.join('`, `')}\``,
    );
  }
}

const NOT_OF_SERVICES: ReadonlySet<unknown> = new Set(['tenant', 'key_id', 'tier']);
