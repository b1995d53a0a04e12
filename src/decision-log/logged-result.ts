import { isObject } from '../decision/json.ts';
import type { AllowList } from './allow-list.ts';
import { cut, type EventCopy } from './event-copy.ts';
import { type LoggedObject, pointerMember } from './mask.ts';

/**
 * What the allow-list keeps of a policy's raw result. A policy can copy anything it reads into any member, so a member
 * with a meaning is logged only with the type of that meaning, and a text only when it is a constant of the policy.
 */
export function loggedResult(result: unknown, list: AllowList, copy: EventCopy): LoggedObject | boolean | undefined {
  if (typeof result === 'boolean') return result;
  if (!isObject(result)) return undefined;
  const logged: LoggedObject = Object.create(null);
  for (const [member, kept] of list) {
    if (!Object.hasOwn(result, member)) continue;
    const kind = KINDS.get(member);
    const pointer = `/result/${pointerMember(member)}`;
    const value =
      kind === undefined
        ? copy.value(result[member], kept, pointer, 'policy')
        : keep(result[member], kind, pointer, copy);
    if (value !== undefined) logged[member] = value;
  }
  return logged;
}

/** The reasons of a decision: constants of the policy as they are, of all others only their length. */
export function loggedReasons(reasons: readonly unknown[], pointer: string, copy: EventCopy): string[] {
  if (reasons.length > MAX_REASONS) copy.erase(`${pointer}/${MAX_REASONS}`);
  const logged: string[] = [];
  for (const [index, reason] of reasons.slice(0, MAX_REASONS).entries()) {
    if (typeof reason === 'string') logged.push(copy.text(reason, `${pointer}/${index}`, 'policy', MAX_REASON));
    else copy.erase(`${pointer}/${index}`);
  }
  return logged;
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

function keep(value: unknown, kind: Kind, pointer: string, copy: EventCopy): unknown {
  switch (kind) {
    case 'boolean':
      return typeof value === 'boolean' ? value : copy.erase(pointer);
    case 'number':
      // A status, so that digits of a secret are none.
      return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= MAX_STATUS
        ? value
        : copy.erase(pointer);
    case 'texts':
      return Array.isArray(value) ? loggedReasons(value, pointer, copy) : copy.erase(pointer);
    case 'names':
      return names(value, pointer, copy);
  }
}

const MAX_STATUS = 9999;

/** The member names of an object, or of a list of objects, as opa-envoy-plugin's `headers` may be. */
function names(value: unknown, pointer: string, copy: EventCopy): string[] | undefined {
  const objects = (Array.isArray(value) ? value.slice(0, MAX_REASONS) : [value]).filter(isObject);
  if (objects.length === 0) return copy.erase(pointer);
  return objects
    .flatMap((object) => Object.keys(object).slice(0, MAX_REASONS))
    .slice(0, MAX_REASONS)
    .map((name) => cut(copy.text(name, pointer, 'policy'), MAX_REASON));
}
