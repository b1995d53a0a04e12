import type { AccessRequest } from '../decision/access-request.ts';
import type { JsonValue } from '../decision/json.ts';
import type { PluginReadings } from '../decision/ports.ts';
import type { CompatibilityConfig } from './config.ts';
import type { JsonDocument } from './json-body.ts';
import { type PluginBody, parsePluginBody } from './plugin-body.ts';
import { parsePluginPath } from './plugin-path.ts';
import { type FormValues, parsePluginQuery } from './plugin-query.ts';
import type { Refusal } from './refusal.ts';

/** opa-envoy-plugin's readings of one request: each is made when a policy first asks for it, and once. */
export class LazyPluginReadings implements PluginReadings {
  readonly #request: AccessRequest;
  readonly #compatibility: CompatibilityConfig;
  readonly #document: () => JsonDocument | Refusal;
  #path: readonly string[] | undefined;
  #query: FormValues | undefined;
  #body: PluginBody | undefined;

  constructor(request: AccessRequest, compatibility: CompatibilityConfig, document: () => JsonDocument | Refusal) {
    this.#request = request;
    this.#compatibility = compatibility;
    this.#document = document;
  }

  parsedPath(): readonly string[] {
    this.#path ??= parsePluginPath(this.#request.target);
    return this.#path;
  }

  parsedQuery(): FormValues {
    this.#query ??= parsePluginQuery(this.#request.target);
    return this.#query;
  }

  parsedBody(): JsonValue {
    return this.#readBody().parsed;
  }

  truncatedBody(): boolean {
    return this.#readBody().truncated;
  }

  #readBody(): PluginBody {
    if (this.#request.headersAreRaw && !this.#compatibility.header_map_bodies) return UNREAD;
    this.#body ??= parsePluginBody({
      request: this.#request,
      duplicateKeys: this.#compatibility.duplicate_keys,
      document: this.#document,
    });
    return this.#body;
  }
}

const UNREAD: PluginBody = { parsed: null, truncated: false };
