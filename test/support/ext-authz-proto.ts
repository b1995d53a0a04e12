import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const root = protobuf.loadSync(fileURLToPath(new URL('./proto/ext_authz.proto', import.meta.url)));

const type = (name: string): protobuf.Type => root.lookupType(`sallyport.test.${name}`);
export const CheckRequestType = type('CheckRequest');
export const CheckResponseType = type('CheckResponse');

/** A CheckRequest by protobufjs: the second opinion on what Sallyport reads. Names are camelCase. */
export function encodeCheckRequest(message: { readonly [name: string]: unknown }): Buffer {
  return Buffer.from(CheckRequestType.encode(CheckRequestType.fromObject(message)).finish());
}

export interface HeaderOption {
  readonly header: { readonly key: string; readonly value?: string; readonly rawValue?: unknown };
  readonly append?: { readonly value?: boolean };
  readonly appendAction?: number;
}

/** A CheckResponse as an independent decoder reads it; what is not on the wire is absent. */
export interface ReadCheckResponse {
  readonly status?: { readonly code?: number };
  readonly deniedResponse?: {
    readonly status?: { readonly code?: number };
    readonly headers?: readonly HeaderOption[];
    readonly body?: string;
  };
  readonly okResponse?: {
    readonly headers?: readonly HeaderOption[];
    readonly headersToRemove?: readonly string[];
    readonly responseHeadersToAdd?: readonly HeaderOption[];
    readonly queryParametersToSet?: readonly { readonly key: string; readonly value: string }[];
    readonly queryParametersToRemove?: readonly string[];
    readonly dynamicMetadata?: unknown;
  };
  readonly dynamicMetadata?: { readonly fields?: { readonly [name: string]: { readonly [kind: string]: unknown } } };
}

export function decodeCheckResponse(bytes: Uint8Array): ReadCheckResponse {
  // The type mirrors the .proto that it was decoded by.
  return CheckResponseType.toObject(CheckResponseType.decode(bytes), { longs: Number }) as ReadCheckResponse;
}

/** What Envoy makes of a CheckResponse: allowed if and only if `status` is absent or its code is 0. */
export function isAllowedByEnvoy(bytes: Uint8Array): boolean {
  return (decodeCheckResponse(bytes).status?.code ?? 0) === 0;
}
