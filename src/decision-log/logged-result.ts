import { isObject } from '../decision/json.ts';
import { quoteSafe } from '../telemetry/json-line.ts';
import type { AllowList, WHOLE } from './allow-list.ts';
import { cut, type EventCopy } from './event-copy.ts';
import { pointerMember } from './mask.ts';

export type LoggedResult = (result: unknown, copy: EventCopy) => string | undefined;

/**
 * Compiles what the allow-list keeps of a policy's raw result, written as JSON. A policy can copy anything it reads into
 * any member, so a member with a meaning is logged only with the type of that meaning, and a text only when it is a
 * constant of the policy.
 */
export function compileResult(list: AllowList): LoggedResult {
  const members = [...list.entries()].map(
    ([member, kept]): ListedMember => ({
      member,
      kept,
      key: `${quoteSafe(member)}:`,
      kind: KINDS.get(member),
      pointer: `/result/${pointerMember(member)}`,
    }),
  );
  return (result, copy) => {
    if (typeof result === 'boolean') return String(result);
    if (!isObject(result)) return undefined;
    let json = '';
    for (const { member, kept, key, kind, pointer } of members) {
      if (!Object.hasOwn(result, member)) continue;
      const value = result[member];
      const written =
        kind === undefined ? copy.value(value, kept, pointer, 'policy') : writeKind(value, kind, pointer, copy);
      if (written !== undefined) json += (json === '' ? '' : ',') + key + written;
    }
    return `{${json}}`;
  };
}

/** The reasons of a decision as a JSON list: constants of the policy as they are, of all others only their length. */
export function writeReasons(reasons: readonly unknown[], pointer: string, copy: EventCopy): string {
  if (reasons.length === 0) return '[]';
  if (reasons.length > MAX_REASONS) copy.erase(`${pointer}/${MAX_REASONS}`);
  const written: string[] = [];
  for (const [index, reason] of reasons.slice(0, MAX_REASONS).entries()) {
    const at = `${pointer}/${index}`;
    if (typeof reason === 'string') written.push(quoteSafe(copy.text(reason, at, 'policy', MAX_REASON)));
    else copy.erase(at);
  }
  return `[${written.join(',')}]`;
}

interface ListedMember {
  readonly member: string;
  readonly kept: AllowList | typeof WHOLE;
  /** Its name as it stands in JSON, the colon included. */
  readonly key: string;
  readonly kind: Kind | undefined;
  readonly pointer: string;
}

type Kind = 'boolean' | 'number' | 'texts' | 'names';

const KINDS: ReadonlyMap<string, Kind> = new Map([
  ['allow', 'boolean'],
  ['allowed', 'boolean'],
  ['status', 'number'],
  ['http_status', 'number'],
  ['reasons', 'texts'],
  ['headers', 'names'],
  ['response_headers', 'names'],
  ['response_headers_to_add', 'names'],
  ['query_set', 'names'],
  ['query_parameters_to_set', 'names'],
  ['remove_headers', 'texts'],
  ['request_headers_to_remove', 'texts'],
  ['query_remove', 'texts'],
  ['query_parameters_to_remove', 'texts'],
]);

const MAX_REASONS = 16;
const MAX_REASON = 128;

function writeKind(value: unknown, kind: Kind, pointer: string, copy: EventCopy): string | undefined {
  switch (kind) {
    case 'boolean':
      return typeof value === 'boolean' ? String(value) : copy.erase(pointer);
    case 'number':
      // A status, so that digits of a secret are none.
      return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= MAX_STATUS
        ? String(value)
        : copy.erase(pointer);
    case 'texts':
      return Array.isArray(value) ? writeReasons(value, pointer, copy) : copy.erase(pointer);
    case 'names':
      return writeNames(value, pointer, copy);
  }
}

const MAX_STATUS = 9999;

/** The member names of an object, or of a list of objects, as opa-envoy-plugin's `headers` may be. */
function writeNames(value: unknown, pointer: string, copy: EventCopy): string | undefined {
  const objects = (Array.isArray(value) ? value.slice(0, MAX_REASONS) : [value]).filter(isObject);
  if (objects.length === 0) return copy.erase(pointer);
  const names = objects
    .flatMap((object) => Object.keys(object).slice(0, MAX_REASONS))
    .slice(0, MAX_REASONS)
    .map((name) => quoteSafe(cut(copy.text(name, pointer, 'policy'), MAX_REASON)));
  return `[${names.join(',')}]`;
}
