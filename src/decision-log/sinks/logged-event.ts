import { isObject } from '../../decision/json.ts';

/** An event as it is read back from its line; what it is known to have is what all kinds of them have. */
export interface LoggedEvent {
  readonly sequence: number;
  readonly instance_id: string;
  /** RFC 3339 in UTC. */
  readonly timestamp: string;
  readonly [member: string]: unknown;
}

/** Reads one line of the log; `undefined` where it is none. */
export function readEvent(line: string): LoggedEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return isEvent(value) ? value : undefined;
}

/** The same for an event that is sent again, and for no other. */
export function eventId({ instance_id: instance, sequence }: LoggedEvent): string {
  return `${instance}:${sequence}`;
}

/** The member at the end of the path, where it is an object. */
export function memberOf(
  event: LoggedEvent,
  ...path: readonly string[]
): { readonly [name: string]: unknown } | undefined {
  const value = valueAt(event, path);
  return isObject(value) && !Array.isArray(value) ? value : undefined;
}

export function textAt(event: LoggedEvent, ...path: readonly string[]): string | undefined {
  const value = valueAt(event, path);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function numberAt(event: LoggedEvent, ...path: readonly string[]): number | undefined {
  const value = valueAt(event, path);
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** The texts of an array; empty where there is none. */
export function textsAt(event: LoggedEvent, ...path: readonly string[]): readonly string[] {
  const value = valueAt(event, path);
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

function valueAt(event: LoggedEvent, path: readonly string[]): unknown {
  let value: unknown = event;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

function isEvent(value: unknown): value is LoggedEvent {
  if (!isObject(value)) return false;
  const { sequence, instance_id: instance, timestamp } = value;
  return (
    Number.isSafeInteger(sequence) &&
    typeof instance === 'string' &&
    INSTANCE.test(instance) &&
    typeof timestamp === 'string' &&
    RFC_3339_UTC.test(timestamp) &&
    !Number.isNaN(Date.parse(timestamp))
  );
}

/** It is part of ids in stores that bound them to 512 bytes. */
const INSTANCE = /^[\x21-\x7e]{1,256}$/;
const RFC_3339_UTC = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z$/;
