import { describe, expect, it } from 'vitest';
import { fieldOf } from '../../src/listener/wire-message.ts';
import { readMessage } from '../../src/listener/wire-reader.ts';
import { toAttributes } from '../../src/protocols/ext-authz-grpc/attributes.ts';
import { CheckRequest } from '../../src/protocols/ext-authz-grpc/check-request.ts';
import { comparable } from '../support/exact-json.ts';
import { CheckRequestType, encodeCheckRequest } from '../support/ext-authz-proto.ts';
import { randomCheckRequest } from '../support/random-check-request.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';

describe('the reader agrees with protobufjs', () => {
  it('on random CheckRequests', () => {
    const random = createRandom(seedOf('ext-authz-grpc-codec'));
    for (let left = caseCount(4_000); left > 0; left--) {
      const bytes = encodeCheckRequest(randomCheckRequest(random));
      const decoded = CheckRequestType.toObject(CheckRequestType.decode(bytes), { longs: Number });
      const attributes = fieldOf(readMessage(bytes, CheckRequest.table), CheckRequest.fields.attributes);
      const ours = attributes === undefined ? undefined : comparable(toAttributes(attributes));
      const theirs = 'attributes' in decoded ? comparable(pluginJson(decoded['attributes'])) : undefined;
      expect(ours, bytes.toString('hex')).toEqual(theirs);
    }
  });
});

/** Members of a oneof other than messages: there even when zero. */
const CHOSEN = new Set(['portValue', 'namedPort', 'serverListenerName']);
const TEXT_MAPS = new Set(['headers', 'labels', 'contextExtensions']);
const VALUE_KINDS = ['nullValue', 'numberValue', 'stringValue', 'boolValue', 'structValue', 'listValue'];

/** opa-envoy-plugin's rules applied to what protobufjs decoded: written apart from the product's own. */
function pluginJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(pluginJson);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([name, one]) => CHOSEN.has(name) || !isZero(one));
  return Object.fromEntries(
    members.map(([name, one]) => {
      if (name === 'filterMetadata') return [name, mapOf(one, plainStruct)];
      if (name === 'typedFilterMetadata') return [name, mapOf(one, pluginJson)];
      // `headers` is a map in HttpRequest and a list in HeaderMap.
      if (TEXT_MAPS.has(name) && !Array.isArray(one)) return [name, one];
      return [name, pluginJson(one)];
    }),
  );
}

function mapOf(value: unknown, make: (one: unknown) => unknown): unknown {
  return Object.fromEntries(Object.entries(value ?? {}).map(([key, one]) => [key, make(one)]));
}

function plainStruct(value: unknown): unknown {
  const fields: unknown = typeof value === 'object' && value !== null && 'fields' in value ? value.fields : {};
  return mapOf(fields, plainValue);
}

function plainValue(value: unknown): unknown {
  const [kind, held] = Object.entries(value ?? {}).find(([name]) => VALUE_KINDS.includes(name)) ?? ['nullValue', null];
  switch (kind) {
    case 'numberValue':
      return Number.isFinite(held) ? held : String(held);
    case 'structValue':
      return plainStruct(held);
    case 'listValue': {
      const values: unknown = typeof held === 'object' && held !== null && 'values' in held ? held.values : [];
      return Array.isArray(values) ? values.map(plainValue) : [];
    }
    case 'nullValue':
      return null;
    default:
      return held;
  }
}

function isZero(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === '' || value === 0 || value === false;
}
