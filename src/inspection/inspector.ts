import type { AccessRequest } from '../decision/access-request.ts';
import type {
  Inference,
  Inspect,
  Inspected,
  InspectionRefused,
  MatchedRoute,
  Network,
  PayloadSize,
} from '../decision/ports.ts';
import type { Peer, Principal } from '../decision/principal.ts';
import { readBody } from './body-reading.ts';
import type { BodySchema } from './body-schemas.ts';
import { canonicalPath, rawPath } from './canonical-path.ts';
import { compileCatalog } from './catalog.ts';
import { clientAddress } from './client-address.ts';
import type { CompatibilityConfig, NetworkConfig } from './config.ts';
import { credentialFault } from './credentials.ts';
import { canonicalHost } from './host.ts';
import { type JsonDocument, parseJsonBody } from './json-body.ts';
import { createKnownTargets, type KnownTarget, type KnownTargets } from './known-targets.ts';
import { parseMediaType } from './media-type.ts';
import { ownTwinFault } from './own-twins.ts';
import { payloadSize } from './payload-size.ts';
import { LazyPluginReadings } from './plugin-readings.ts';
import { isRefusal, malformed, type Refusal, refuse } from './refusal.ts';
import type { CompiledRoute, FindRoute } from './route-table.ts';
import { soleValue } from './single-header.ts';
import { isUpgrade } from './upgrade.ts';

export interface InspectorOptions {
  /** `data.catalog` of the bundle; `undefined` when it has none, and then no request has a route. */
  readonly catalog: unknown;
  readonly network: NetworkConfig;
  readonly compatibility: CompatibilityConfig;
}

/**
 * Compiles the route data once per activation into the inspection of requests: all that is ambiguous or over a
 * route's bounds ends there, before any policy. Throws `CatalogError` when the route data is wrong.
 */
export function createInspector({ catalog, network, compatibility }: InspectorOptions): Inspect {
  const { findRoute, schemas } = compileCatalog(catalog);
  const { trusted_hops: trustedHops, partial_bodies: partialBodies = false } = network;
  const settings: Settings = {
    findRoute,
    schemas,
    trustedHops,
    partialBodies,
    compatibility,
    targets: createKnownTargets(),
  };
  return (request, principal, peer, routing) =>
    new Inspection(settings, request, principal, peer, routing === 'optional').run();
}

interface Settings {
  readonly findRoute: FindRoute;
  readonly schemas: ReadonlyMap<string, BodySchema>;
  readonly trustedHops: number;
  readonly partialBodies: boolean;
  readonly compatibility: CompatibilityConfig;
  readonly targets: KnownTargets;
}

/** What a route adds to what every request has. */
interface RouteFindings {
  readonly route: MatchedRoute;
  readonly inference?: Inference;
}

/** One request's way through inspection; keeps what was found, so that a refusal can tell it to the event. */
class Inspection {
  readonly #settings: Settings;
  readonly #request: AccessRequest;
  readonly #principal: Principal | undefined;
  readonly #peer: Peer | null;
  readonly #optional: boolean;
  #network: Network | undefined;
  #path: string | undefined;
  #segments: readonly string[] | undefined;
  #known: KnownTarget | undefined;
  #routeName: string | undefined;
  #document: JsonDocument | Refusal | undefined;

  constructor(
    settings: Settings,
    request: AccessRequest,
    principal: Principal | undefined,
    peer: Peer | null,
    optional: boolean,
  ) {
    this.#settings = settings;
    this.#request = request;
    this.#principal = principal;
    this.#peer = peer;
    this.#optional = optional;
  }

  run(): Inspected | InspectionRefused {
    const request = this.#request;
    const address = clientAddress(request, this.#settings.trustedHops);
    if (isRefusal(address)) return this.#refused(address, false);
    this.#network = address === undefined ? {} : { client_ip: address };

    const fault = this.#readPath() ?? ownTwinFault(request);
    if (fault !== undefined) return this.#refused(fault, false);
    const host = canonicalHost(request);
    if (isRefusal(host)) return this.#refused(host, false);
    const upgrade = isUpgrade(request);
    const size = this.#tolerate(payloadSize(request, upgrade, this.#settings.partialBodies), {
      known: false,
      at_least: request.body.bytes.length,
    } as const);
    if (isRefusal(size)) return this.#refused(size, false);
    const label = this.#tolerate(soleValue(request.headers, 'content-type'), undefined);
    if (isRefusal(label)) return this.#refused(label, false);
    const contentType = this.#tolerate(mediaTypeOf(label), undefined);
    if (isRefusal(contentType)) return this.#refused(contentType, false);

    const found = this.#applyRoute(size, label, upgrade);
    if (found?.kind === 'refused') return found;
    const inspected: Mutable<Inspected> = {
      kind: 'inspected',
      path: this.#path ?? '',
      size,
      route: found === undefined ? null : found.route,
      network: this.#network,
      plugin: new LazyPluginReadings(request, this.#settings.compatibility, () => this.#readDocument()),
    };
    if (host !== undefined) inspected.host = host;
    if (contentType !== undefined) inspected.contentType = contentType;
    if (found?.inference !== undefined) inspected.inference = found.inference;
    return inspected;
  }

  /** INVARIANT: only a canonical path has segments, so no route ever matches an ambiguous one. */
  #readPath(): Refusal | undefined {
    const { target } = this.#request;
    this.#known = this.#settings.targets.get(target);
    const canonical = this.#known?.canonical ?? canonicalPath(target);
    if (!isRefusal(canonical)) {
      this.#path = canonical.path;
      this.#segments = canonical.segments;
      return undefined;
    }
    if (!this.#settings.compatibility.ambiguous_paths) {
      return isConnect(this.#request) ? refuse('upgrade_not_declared', 'the request is a tunnel') : canonical;
    }
    const raw = rawPath(target);
    if (isRefusal(raw)) return raw;
    this.#path = raw;
    return undefined;
  }

  #applyRoute(
    size: PayloadSize,
    label: string | undefined,
    upgrade: boolean,
  ): (RouteFindings & { readonly kind: 'found' }) | InspectionRefused | undefined {
    const lookup = this.#segments === undefined ? NO_ROUTE : this.#settings.findRoute(this.#segments, this.#request);
    if (lookup.kind !== 'route') {
      if (this.#optional) {
        const surplus = credentialFault(undefined, this.#principal, this.#peer);
        return surplus === undefined ? undefined : this.#refused(surplus, false);
      }
      if (lookup.kind === 'none') return this.#refused(refuse('unknown_route', 'no route matches the path'), true);
      const refusal = refuse('method_not_declared', 'the route does not declare the method');
      return { ...this.#refused(refusal, true), headers: [['allow', lookup.allow]] };
    }
    const { route } = lookup;
    this.#routeName = route.name;
    const fault =
      credentialFault(route.credentials, this.#principal, this.#peer) ??
      boundsFault(route, this.#principal?.tier, size, upgrade);
    if (fault !== undefined) return this.#refused(fault, true);
    const inference = route.body === 'none' ? undefined : this.#readBody(route, size, label);
    if (isRefusal(inference)) return this.#refused(inference, true);
    const matched = this.#known?.matched(route, this.#principal, inference) ?? this.#match(route, inference);
    if (isRefusal(matched)) return this.#refused(matched, true);
    return inference === undefined ? { kind: 'found', route: matched } : { kind: 'found', route: matched, inference };
  }

  #match(route: CompiledRoute, inference: Inference | undefined): MatchedRoute | Refusal {
    const matched = toMatchedRoute(route, this.#segments ?? [], this.#principal, inference);
    if (isRefusal(matched)) return matched;
    // Its segments are those of the known target, and no slices of this request.
    if (this.#known !== undefined) return this.#known.keep(route, matched);
    if (this.#principal !== undefined) this.#settings.targets.add(this.#request.target);
    return matched;
  }

  #readBody(route: CompiledRoute, size: PayloadSize, label: string | undefined): Inference | Refusal {
    return readBody({
      request: this.#request,
      route,
      size,
      label,
      anonymous: this.#principal === undefined && this.#peer === null,
      schemas: this.#settings.schemas,
      document: () => this.#readDocument(),
    });
  }

  #readDocument(): JsonDocument | Refusal {
    this.#document ??= parseJsonBody(this.#request.body.bytes, this.#settings.compatibility.duplicate_keys);
    return this.#document;
  }

  /** Decisions that need no route may leave contradictory content headers to the policy, as opa-envoy-plugin does. */
  #tolerate<T, F>(value: T | Refusal, fallback: F): T | F | Refusal {
    if (!isRefusal(value) || !this.#optional || !this.#settings.compatibility.ambiguous_paths) return value;
    return fallback;
  }

  #refused({ code, cause }: Refusal, dependsOnRoute: boolean): InspectionRefused {
    return {
      kind: 'refused',
      code,
      cause,
      dependsOnRoute,
      ...(this.#path === undefined ? {} : { path: this.#path }),
      ...(this.#routeName === undefined ? {} : { route: this.#routeName }),
      ...(this.#network === undefined ? {} : { network: this.#network }),
    };
  }
}

type Mutable<T> = { -readonly [key in keyof T]: T[key] };

const NO_ROUTE = { kind: 'none' } as const;

/** A tunnel's target is a host and port and never a path (RFC 9112 §3.2.3). */
function isConnect({ method, target }: AccessRequest): boolean {
  return method === 'CONNECT' && !target.startsWith('/');
}

function mediaTypeOf(label: string | undefined): string | undefined | Refusal {
  if (label === undefined || label === '') return undefined;
  const type = parseMediaType(label)?.type;
  return type?.includes('/') ? type : malformed('`content-type` is malformed');
}

function boundsFault(
  route: CompiledRoute,
  tier: string | undefined,
  size: PayloadSize,
  upgrade: boolean,
): Refusal | undefined {
  if (upgrade && !route.upgrade) {
    return refuse('upgrade_not_declared', `route \`${route.name}\` does not declare upgrades`);
  }
  const most = maxBytesOf(route, tier);
  if (most === undefined) return undefined;
  if ((size.known ? size.bytes : size.at_least) > most) {
    return refuse('payload_too_large', `the payload is larger than route \`${route.name}\` allows`);
  }
  if (size.known) return undefined;
  return refuse('payload_size_unknown', `route \`${route.name}\` limits the payload, whose size is not known`);
}

/** The route's own bound holds for every tier: that of a tier can only be the smaller one. */
function maxBytesOf({ maxBytes, maxBytesByTier }: CompiledRoute, tier: string | undefined): number | undefined {
  const ofTier = maxBytesByTier === undefined || tier === undefined ? undefined : maxBytesByTier.get(tier);
  if (ofTier === undefined || maxBytes === undefined) return ofTier ?? maxBytes;
  return Math.min(ofTier, maxBytes);
}

function toMatchedRoute(
  route: CompiledRoute,
  segments: readonly string[],
  principal: Principal | undefined,
  inference: Inference | undefined,
): MatchedRoute | Refusal {
  const params = paramsOf(route, segments);
  const tenant = route.tenant === 'token' ? principal?.tenant : params['tenant'];
  const model = route.model === 'body' ? inference?.model : params['model'];
  if (route.model === 'body' && model === undefined) return malformed('the JSON body names no model');
  if (inference?.model !== undefined && model !== undefined && inference.model !== model) {
    return malformed('the path and the JSON body name different models');
  }
  const operation = route.kind === 'preflight' ? 'preflight' : (route.operation ?? params['operation']);
  return {
    name: route.name,
    ...(tenant === undefined ? {} : { tenant }),
    ...(model === undefined ? {} : { model }),
    ...(operation === undefined ? {} : { operation }),
    params,
    requiredLimits: route.limits,
  };
}

const NO_PARAMS: { readonly [name: string]: string } = Object.freeze(Object.create(null));

function paramsOf(route: CompiledRoute, segments: readonly string[]): { readonly [name: string]: string } {
  if (route.parameters.length === 0) return NO_PARAMS;
  const params: { [name: string]: string } = Object.create(null);
  for (const [name, index] of route.parameters) params[name] = segments[index] ?? '';
  return params;
}
