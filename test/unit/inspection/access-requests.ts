import { Buffer } from 'node:buffer';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import type { Inspected, InspectionRefused } from '../../../src/decision/ports.ts';
import type { CompatibilityConfig } from '../../../src/inspection/config.ts';
import { createInspector } from '../../../src/inspection/inspector.ts';

export const STRICT: CompatibilityConfig = {
  ambiguous_paths: false,
  duplicate_keys: false,
  header_map_bodies: true,
  expose_credentials: false,
};

/** What a case says of a request; headers as pairs, so that names can repeat. */
export interface RequestParts extends Partial<Omit<AccessRequest, 'headers' | 'body'>> {
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string | Uint8Array;
  readonly complete?: boolean;
}

export function accessRequest(parts: RequestParts = {}): AccessRequest {
  const { headers = [], body = '', complete, ...rest } = parts;
  const values = new Map<string, string[]>();
  for (const [name, value] of headers) values.set(name, [...(values.get(name) ?? []), value]);
  return {
    door: 'test',
    method: 'GET',
    target: '/',
    host: '',
    headers: { all: (name) => values.get(name) ?? [], names: () => values.keys() },
    body: { bytes: typeof body === 'string' ? Buffer.from(body) : body, complete },
    contextExtensions: new Map(),
    attributes: () => undefined,
    headersAreRaw: false,
    capabilities: { queryChanges: true, upstreamHeaders: 'all' },
    ...rest,
  };
}

export const INFER = {
  name: 'infer',
  path: '/{tenant}/{model}/{operation}',
  methods: ['POST'],
  operations: { infer: ['POST'] },
  max_bytes: 1000,
};

export const CHAT = {
  name: 'chat',
  path: '/v1/chat/completions',
  methods: ['POST'],
  operation: 'chat',
  tenant: 'token',
  model: 'body',
  body: 'json',
  max_bytes: 1_048_576,
  limits: ['tokens'],
};

/** Inspects one request by routes and switches that a case names. */
export function inspect(
  parts: RequestParts,
  {
    routes = [INFER, CHAT],
    routing = 'required',
    trustedHops = 0,
    compatibility = {},
  }: {
    readonly routes?: readonly unknown[];
    readonly routing?: 'required' | 'optional';
    readonly trustedHops?: number;
    readonly compatibility?: Partial<CompatibilityConfig>;
  } = {},
): Inspected | InspectionRefused {
  const inspector = createInspector({
    catalog: { routes },
    network: { trusted_hops: trustedHops },
    compatibility: { ...STRICT, ...compatibility },
  });
  return inspector(accessRequest(parts), undefined, null, routing);
}

/** The refusal's code, or `inspected`. */
export function codeOf(result: Inspected | InspectionRefused): string {
  return result.kind === 'refused' ? result.code : result.kind;
}
