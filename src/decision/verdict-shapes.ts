import { quoted } from './errors.ts';
import type { HeaderPairs } from './header-changes.ts';
import { isObject, type JsonObject } from './json.ts';
import type { ResultShape } from './ports.ts';
import {
  headerNames,
  headerPairs,
  jsonObject,
  optionalStatus,
  optionalText,
  queryPairs,
  texts,
  VerdictFault,
} from './verdict-fields.ts';

/** What a verdict says of an Allow. */
export interface VerdictParts {
  readonly setHeaders: HeaderPairs;
  readonly removeHeaders: readonly string[];
  readonly responseHeaders: HeaderPairs;
  readonly querySet: HeaderPairs;
  readonly queryRemove: readonly string[];
  readonly metadata: JsonObject;
  readonly reasons: readonly string[];
}

/** What a verdict says of a Deny. */
export interface PolicyDenial {
  readonly status: number | undefined;
  readonly reasons?: readonly string[];
  readonly headers?: HeaderPairs;
  readonly body?: string | undefined;
  readonly metadata?: JsonObject;
}

/** A verdict as it was read: it allows nothing yet. */
export type VerdictReading =
  | { readonly allow: true; readonly parts: VerdictParts; readonly upstream: string | undefined }
  | { readonly allow: false; readonly denial: PolicyDenial };

/** Reads a raw policy result by its shape; throws a `VerdictFault` for whatever it does not know. */
export function readVerdict(value: unknown, shape: ResultShape): VerdictReading {
  switch (shape) {
    case 'sallyport':
      return readSallyport(value);
    case 'opa-envoy':
      return readOpaEnvoy(value);
  }
}

/** The members of a verdict of the shape `sallyport`. */
export const VERDICT_KEYS: ReadonlySet<string> = new Set([
  'allow',
  'reasons',
  'status',
  'headers',
  'response_headers',
  'remove_headers',
  'query_set',
  'query_remove',
  'body',
  'upstream',
  'metadata',
  'obligations',
]);

function readSallyport(value: unknown): VerdictReading {
  if (!isObject(value)) throw new VerdictFault('the verdict is not an object');
  for (const key of Object.keys(value)) {
    if (!VERDICT_KEYS.has(key)) throw new VerdictFault(`the verdict has the unknown key ${quoted(key)}`);
  }
  const reasons = texts(value['reasons'], 'reasons');
  const headers = headerPairs(value['headers'], 'headers');
  const responseHeaders = headerPairs(value['response_headers'], 'response_headers');
  const removeHeaders = headerNames(value['remove_headers'], 'remove_headers');
  const querySet = queryPairs(value['query_set'], 'query_set');
  const queryRemove = texts(value['query_remove'], 'query_remove');
  const metadata = jsonObject(value['metadata'], 'metadata');
  const upstream = optionalText(value['upstream'], 'upstream');
  const body = optionalText(value['body'], 'body');
  const status = optionalStatus(value['status'], 'status');
  const obligations = value['obligations'] ?? [];
  if (!Array.isArray(obligations)) throw new VerdictFault('`obligations` is not a list');

  if (value['allow'] === true) {
    if (obligations.length > 0) {
      throw new VerdictFault('nothing here performs the obligations of the verdict', 'unperformed_obligation');
    }
    const parts = { setHeaders: headers, removeHeaders, responseHeaders, querySet, queryRemove, metadata, reasons };
    return { allow: true, parts, upstream };
  }
  if (value['allow'] !== false) throw new VerdictFault('`allow` is not a boolean');
  return { allow: false, denial: { status, reasons, headers: responseHeaders.concat(headers), body, metadata } };
}

/** opa-envoy-plugin's result: a boolean or an object with `allowed`; keys of the other branch are not looked at. */
function readOpaEnvoy(value: unknown): VerdictReading {
  if (value === true) return { allow: true, parts: NOTHING, upstream: undefined };
  if (value === false) return { allow: false, denial: { status: 403 } };
  if (!isObject(value)) throw new VerdictFault('the verdict is neither a boolean nor an object');
  const metadata = jsonObject(value['dynamic_metadata'], 'dynamic_metadata');
  if (value['allowed'] === true) {
    return {
      allow: true,
      upstream: undefined,
      parts: {
        setHeaders: headerPairs(value['headers'], 'headers'),
        removeHeaders: headerNames(value['request_headers_to_remove'], 'request_headers_to_remove'),
        responseHeaders: headerPairs(value['response_headers_to_add'], 'response_headers_to_add'),
        querySet: queryPairs(value['query_parameters_to_set'], 'query_parameters_to_set'),
        queryRemove: texts(value['query_parameters_to_remove'], 'query_parameters_to_remove'),
        metadata,
        reasons: [],
      },
    };
  }
  if (value['allowed'] !== false) throw new VerdictFault('`allowed` is missing or not a boolean');
  return {
    allow: false,
    denial: {
      status: optionalStatus(value['http_status'], 'http_status') ?? 403,
      headers: headerPairs(value['headers'], 'headers'),
      body: optionalText(value['body'], 'body'),
      metadata,
    },
  };
}

const NOTHING: VerdictParts = {
  setHeaders: [],
  removeHeaders: [],
  responseHeaders: [],
  querySet: [],
  queryRemove: [],
  metadata: {},
  reasons: [],
};
