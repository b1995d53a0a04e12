import { field, listOf, type Setting, textOf } from './setting.ts';
import { flagOf } from './values.ts';

/** An extension's config with its message type, e.g. `envoy.extensions.filters.http.router.v3.Router`. */
export interface Typed {
  readonly type: string;
  readonly config: Setting;
}

/** What an `Any` holds; a TypedStruct is unpacked. Undefined where no type is said. */
export function typedOf(packed: Setting | undefined): Typed | undefined {
  const url = textOf(packed, '@type');
  if (packed === undefined || url === undefined) return undefined;
  const type = typeIn(url);
  if (!type.endsWith('.TypedStruct')) return { type, config: packed };
  const config = field(packed, 'value') ?? packed;
  return { type: typeIn(textOf(packed, 'type_url') ?? ''), config };
}

/** One entry of `http_filters`. */
export interface HttpFilter {
  readonly entry: Setting;
  /** What routes override it by. */
  readonly name: string;
  /** Empty where none is said, as for a filter that comes by discovery. */
  readonly type: string;
  readonly config: Setting;
  /** What decides, request by request, whether the filter runs at all. */
  readonly matcher: Setting | undefined;
}

export function httpFiltersOf(list: readonly Setting[]): readonly HttpFilter[] {
  return list.map((entry) => {
    const outer = typedOf(field(entry, 'typed_config'));
    const name = textOf(entry, 'name') ?? '';
    const wrapped = outer?.type.endsWith('.ExtensionWithMatcher') === true ? outer.config : undefined;
    const typed = wrapped === undefined ? outer : typedOf(field(wrapped, 'extension_config', 'typed_config'));
    const matcher = field(wrapped, 'xds_matcher') ?? field(wrapped, 'matcher') ?? wrapped;
    return { entry, name, type: typed?.type ?? '', config: typed?.config ?? entry, matcher };
  });
}

export function isExtAuthz({ type }: Pick<Typed, 'type'>): boolean {
  return /\.filters?\.http\.ext_authz\.\w+\.ExtAuthz$/.test(type);
}

/** A per-filter override of a route, a virtual host, a weighted cluster or a route config. */
export interface Override {
  readonly filter: string;
  readonly type: string;
  readonly config: Setting;
  /** The whole of it as written. */
  readonly setting: Setting;
  /** Where it says that the filter does not run. */
  readonly disabled: Setting | undefined;
}

/** The overrides written at one level. */
export function overridesOf(level: Setting | undefined): readonly Override[] {
  const entries = field(level, 'typed_per_filter_config')?.fields ?? new Map<string, Setting>();
  return [...entries].map(([filter, packed]) => {
    const outer = typedOf(packed) ?? { type: '', config: packed };
    const wrapped = outer.type.endsWith('.route.v3.FilterConfig');
    const inner = wrapped ? (typedOf(field(outer.config, 'config')) ?? outer) : outer;
    const disabled = (wrapped ? field(outer.config, 'disabled') : undefined) ?? field(inner.config, 'disabled');
    return { filter, type: inner.type, config: inner.config, setting: packed, disabled };
  });
}

/** Every upgrade that a connection manager or a route lets through. */
export function upgradesOf(level: Setting | undefined): readonly Setting[] {
  return listOf(level, 'upgrade_configs').filter((upgrade) => flagOf(field(upgrade, 'enabled')) !== false);
}

function typeIn(url: string): string {
  return url.split('/').at(-1) ?? '';
}
