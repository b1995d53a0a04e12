import type { MaskConfig } from './config.ts';

/** Applies a configured mask to an event; tells what it touched, so that the event can say so. */
export type Mask = (event: MaskableEvent) => void;

/** The parts of an event that masks reach. */
export interface MaskableEvent {
  readonly input: LoggedObject;
  readonly result: LoggedObject | boolean | undefined;
  readonly erased: string[];
  readonly masked: string[];
}

export type LoggedObject = { [member: string]: unknown };

/** Compiles masks in order; a path that an event does not have is passed over, as in OPA. */
export function compileMasks(masks: readonly MaskConfig[]): readonly Mask[] {
  return masks.map(({ path, op, value }) => {
    const members = pointerMembers(path);
    return (event) => mask(event, path, members, op === 'replace' ? { value } : 'erase');
  });
}

/** Erases the member at a pointer, or replaces it where it is; notes that it did. */
export function maskAt(event: MaskableEvent, path: string, how: 'erase' | { readonly value: unknown }): void {
  mask(event, path, pointerMembers(path), how);
}

function mask(
  event: MaskableEvent,
  path: string,
  members: readonly string[],
  how: 'erase' | { readonly value: unknown },
): void {
  let parent: unknown = event;
  for (const member of members.slice(0, -1)) parent = memberOf(parent, member);
  const last = members.at(-1) ?? '';
  if (memberOf(parent, last) === undefined) return;
  // `memberOf` found an own member, so this is an object or a list.
  const holder = parent as LoggedObject;
  if (how !== 'erase') {
    holder[last] = how.value;
    event.masked.push(path);
    return;
  }
  if (Array.isArray(holder)) holder[Number(last)] = null;
  else if (parent === event && last === 'input') holder[last] = {};
  else delete holder[last];
  event.erased.push(path);
}

/** Why a path cannot be masked, `undefined` when it can. */
export function maskPathFault(path: string): string | undefined {
  if (!/^\/(?:input|result)\/./.test(path)) return `\`${path}\` is not below \`/input\` or \`/result\``;
  if (/~(?![01])/.test(path)) return `\`${path}\` is no JSON pointer: write \`~0\` for \`~\` and \`~1\` for \`/\``;
  return undefined;
}

/** One member as RFC 6901 writes it. */
export function pointerMember(name: string): string {
  return name.includes('~') || name.includes('/') ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name;
}

function pointerMembers(path: string): readonly string[] {
  return path
    .slice(1)
    .split('/')
    .map((member) => member.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function memberOf(parent: unknown, member: string): unknown {
  if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, member)) return undefined;
  return (parent as LoggedObject)[member];
}
