import { entries, type Field, fields, flag, items, natural, text, textMap } from './case-fields.ts';
import type { RequestParts } from './to-access-request.ts';

/** The request of a case; `networkField` says from where it comes. */
export function readRequest(
  field: Field,
  networkField: Field | undefined,
  decisionName: string | undefined,
): RequestParts {
  const given = fields(field, [
    'method',
    'path',
    'host',
    'scheme',
    'protocol',
    'headers',
    'body',
    'body_bytes',
    'size',
    'partial',
    'id',
    'extensions',
  ]);
  if (given.path === undefined) field.report([...field.path, 'path'], 'is missing');
  const body = readBody(field, given);
  const partial = given.partial === undefined ? false : readPartial(given.partial);
  const size = given.size === undefined ? undefined : natural(given.size);
  if (size !== undefined && (body.length > 0 || given.partial !== undefined)) {
    field.report(
      [...field.path, 'size'],
      'stands for a body that is not shown; leave out `body`, `body_bytes` and `partial`',
    );
  }
  const extensions = new Map(given.extensions === undefined ? [] : textMap(given.extensions));
  if (decisionName !== undefined) extensions.set('sallyport.decision', decisionName);
  const network = networkField === undefined ? undefined : fields(networkField, ['address']);
  const sent = body.length > 0 || size !== undefined;
  return {
    door: 'case',
    method: given.method === undefined ? (sent ? 'POST' : 'GET') : text(given.method),
    target: given.path === undefined ? '/' : text(given.path),
    host: given.host === undefined ? 'gateway.test' : text(given.host),
    scheme: given.scheme === undefined ? 'https' : text(given.scheme),
    protocol: given.protocol === undefined ? 'HTTP/2' : text(given.protocol),
    headers: given.headers === undefined ? [] : readHeaders(given.headers),
    body,
    ...(size !== undefined ? { declaredLength: size } : partial === undefined ? {} : { complete: !partial }),
    address: network?.address === undefined ? '192.0.2.1' : text(network.address),
    requestId: given.id === undefined ? 'request-1' : text(given.id),
    extensions,
  };
}

type BodyFields = { readonly [name in 'body' | 'body_bytes']: Field | undefined };

/** A text is sent as it is, everything else as JSON; of `body_bytes` only the length is chosen. */
function readBody(field: Field, { body, body_bytes: bytesField }: BodyFields): Uint8Array {
  if (bytesField !== undefined) {
    if (body !== undefined) field.report(bytesField.path, 'and `body` exclude each other');
    const bytes = natural(bytesField);
    if (bytes > MAX_BODY_BYTES)
      bytesField.report(bytesField.path, `is above ${MAX_BODY_BYTES}; \`size\` needs no bytes`);
    return Buffer.from(bytes < 2 ? '' : `"${'x'.repeat(Math.min(bytes, MAX_BODY_BYTES) - 2)}"`);
  }
  if (body === undefined || body.value === null) return new Uint8Array();
  return Buffer.from(typeof body.value === 'string' ? body.value : JSON.stringify(body.value));
}

const MAX_BODY_BYTES = 16 * 2 ** 20;

function readPartial(field: Field): boolean | undefined {
  return field.value === 'not_said' ? undefined : flag(field);
}

function readHeaders(field: Field): readonly (readonly [string, string])[] {
  return entries(field).flatMap(([name, value]) => {
    const key = name.toLowerCase();
    return Array.isArray(value.value)
      ? items(value).map((one) => [key, text(one)] as const)
      : [[key, text(value)] as const];
  });
}
