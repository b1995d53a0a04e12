/** The route data of the bundle under test, asked about what an event tells of a request. */
export interface RouteTable {
  /** Of a canonical path; a preflight is told from other OPTIONS requests. */
  readonly find: (method: string, path: string, isPreflight: boolean) => FoundRoute | RouteRefusal;
  /** For events without a whole path. */
  readonly named: (name: string) => FoundRoute | undefined;
}

/** A route, as far as it says what of a request is its tenant, its model and its bound. */
export interface FoundRoute {
  readonly kind: 'route';
  readonly name: string;
  readonly params: { readonly [name: string]: string };
  readonly tenant?: 'path' | 'token';
  readonly model?: 'path' | 'body';
  /** Absent where it is the path's parameter. */
  readonly operation?: string;
  readonly readsBody: boolean;
  readonly requiredLimits: readonly string[];
  readonly maxBytes: (tier: string | undefined) => number | undefined;
}

export interface RouteRefusal {
  readonly kind: 'refused';
  readonly code: 'unknown_route' | 'method_not_declared';
}
