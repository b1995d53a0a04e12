import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import { RequestFault } from '../../../src/decision/errors.ts';
import { type JsonValue, RawJson } from '../../../src/decision/json.ts';
import type { CompatibilityConfig } from '../../../src/inspection/config.ts';
import { createInspector } from '../../../src/inspection/inspector.ts';
import { accessRequest } from './access-requests.ts';

interface GoldenLine {
  readonly name: string;
  readonly check_request: string;
  readonly input?: string;
  readonly denied?: { readonly status: number };
}

const LINES = readFileSync(new URL('../../golden/opa-envoy-input.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  // The file is ours and each of its lines has this shape.
  .map((line) => JSON.parse(line) as GoldenLine);

const AS_THE_PLUGIN: CompatibilityConfig = {
  ambiguous_paths: true,
  duplicate_keys: true,
  header_map_bodies: false,
  expose_credentials: true,
};

/** The members that inspection makes. */
const READINGS = ['parsed_path', 'parsed_query', 'parsed_body', 'truncated_body'] as const;

describe('the readings of opa-envoy-plugin', () => {
  it('has 48 recorded inputs', () => {
    expect(LINES).toHaveLength(48);
  });

  it.each(LINES.map((line) => [line.name, line] as const))('are equal or denied alike: %s', (_, line) => {
    const read = (): string => readings(toAccessRequest(line.check_request));
    if (line.denied !== undefined) {
      expect(line.denied.status).toBe(400);
      expect(read).toThrow(expect.objectContaining({ code: 'malformed_request' }));
      return;
    }
    expect(read()).toBe(pickReadings(line.input ?? ''));
  });
});

/** Inspects as the core does for a decision without routes, and writes the readings as one JSON text. */
function readings(request: AccessRequest): string {
  const inspect = createInspector({ catalog: undefined, network: { trusted_hops: 0 }, compatibility: AS_THE_PLUGIN });
  const inspected = inspect(request, undefined, null, 'optional');
  if (inspected.kind === 'refused') throw new RequestFault(inspected.code, inspected.cause);
  const { plugin } = inspected;
  return canonical(
    [plugin.parsedPath(), plugin.parsedQuery(), plugin.parsedBody(), plugin.truncatedBody()].map(toText),
  );
}

function pickReadings(input: string): string {
  const members = membersOf(input);
  return canonical(READINGS.map((name) => members.get(name) ?? 'absent'));
}

/** Raw JSON is spliced in, so that every digit is compared. */
function toText(value: JsonValue): string {
  if (value instanceof RawJson) return value.text;
  if (Array.isArray(value)) return `[${value.map(toText).join()}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, member]) => `${JSON.stringify(key)}:${toText(member ?? null)}`)
      .join()}}`;
  }
  return JSON.stringify(value);
}

/** Objects with sorted keys and strings in one spelling; numbers as they stand. */
function canonical(texts: readonly string[]): string {
  return texts.map((text) => render(text.match(TOKENS) ?? [])).join('\n');
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

function render(tokens: string[]): string {
  const token = tokens.shift() ?? '';
  if (token !== '{' && token !== '[') return token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : token;
  const parts: string[] = [];
  const close = token === '{' ? '}' : ']';
  while (tokens[0] !== close) {
    if (tokens[0] === ',') tokens.shift();
    const first = render(tokens);
    if (token === '{') tokens.shift();
    parts.push(token === '{' ? `${first}:${render(tokens)}` : first);
  }
  tokens.shift();
  return token + (token === '{' ? parts.sort() : parts).join() + close;
}

/** The text of each top-level member. */
function membersOf(text: string): ReadonlyMap<string, string> {
  const tokens = (text.match(TOKENS) ?? []).slice(1, -1);
  const members = new Map<string, string>();
  while (tokens.length > 0) {
    if (tokens[0] === ',') tokens.shift();
    const name: unknown = JSON.parse(tokens.shift() ?? '');
    tokens.shift();
    members.set(String(name), render(tokens));
  }
  return members;
}

const { root } = protobuf.parse(`
  syntax = "proto3";
  message CheckRequest { Attributes attributes = 1; }
  message Attributes { Request request = 4; }
  message Request { Http http = 2; }
  message Http {
    string method = 2; map<string, string> headers = 3; string path = 4; string host = 5;
    string body = 11; bytes raw_body = 12; HeaderMap header_map = 13;
  }
  message HeaderMap { repeated HeaderValue headers = 1; }
  message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
`);

/** What the gRPC door makes of the message, as far as inspection looks at it. */
function toAccessRequest(encoded: string): AccessRequest {
  const type = root.lookupType('CheckRequest');
  const message = type.toObject(type.decode(Buffer.from(encoded, 'base64')), { bytes: Buffer });
  const http = message['attributes']?.request?.http ?? {};
  const raw: readonly { key: string; rawValue: Buffer }[] = http.headerMap?.headers ?? [];
  const joined = Object.entries(http.headers ?? {}).map(([name, value]) => [name, String(value)] as const);
  const headers = joined.length > 0 ? joined : raw.map(({ key, rawValue }) => [key, rawValue.toString()] as const);
  const length = new Map(headers).get('content-length');
  const partial = new Map(headers).get('x-envoy-auth-partial-body');
  return accessRequest({
    method: http.method ?? '',
    target: http.path ?? '',
    host: http.host ?? '',
    headers,
    headersAreRaw: joined.length === 0 && raw.length > 0,
    body: http.body === undefined || http.body === '' ? (http.rawBody ?? '') : http.body,
    ...(partial === undefined ? {} : { complete: partial === 'false' }),
    ...(length === undefined ? {} : { declaredLength: /^\d+$/.test(length) ? Number(length) : 'malformed' }),
  });
}
