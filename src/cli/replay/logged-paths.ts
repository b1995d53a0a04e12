import { type AllowList, allowed, compileAllowList, WHOLE } from '../../decision-log/allow-list.ts';
import { loggableMembers } from '../../decision-log/loggable.ts';
import type { LogsPath } from '../../replay/known-input.ts';

/** What an allow-list keeps of `input`; without one nothing that is absent from an event is known to have been absent. */
export function loggedPaths(input: readonly string[] | undefined): LogsPath {
  const list = input === undefined ? undefined : compileAllowList(input);
  return (path) => {
    const [section = '', member = '', ...rest] = path;
    if (![...loggableMembers(section)].includes(member)) return 'never_logged';
    return list !== undefined && keepsAll(list, [section, member, ...rest]) ? 'logged' : 'not_logged';
  };
}

function keepsAll(list: AllowList, path: readonly string[]): boolean {
  let kept: AllowList | typeof WHOLE | undefined = list;
  for (const member of path) {
    if (kept === undefined || kept === WHOLE) break;
    kept = allowed(kept, member);
  }
  return kept === WHOLE;
}
