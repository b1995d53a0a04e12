/** A compiled list of dotted paths: what to keep of one level, and of the levels below it. */
export type AllowList = ReadonlyMap<string, AllowList | typeof WHOLE>;

/** Everything below is kept. */
export const WHOLE: unique symbol = Symbol('the whole value');

/** Compiles paths such as `request.method`, `route.*` or `quota`; a path keeps all that is below it. */
export function compileAllowList(paths: readonly string[]): AllowList {
  const root: Growing = new Map();
  for (const path of paths) {
    const members = path.split('.');
    if (members.at(-1) === '*') members.pop();
    add(root, members);
  }
  return root;
}

/** What the list keeps of a member: `undefined` nothing, {@link WHOLE} all of it, else a list for its members. */
export function allowed(list: AllowList | typeof WHOLE, member: string): AllowList | typeof WHOLE | undefined {
  if (list === WHOLE) return WHOLE;
  return list.get(member) ?? list.get('*');
}

type Growing = Map<string, Growing | typeof WHOLE>;

function add(list: Growing, members: readonly string[]): void {
  const [member, ...rest] = members;
  if (member === undefined) return;
  const known = list.get(member);
  if (known === WHOLE) return;
  if (rest.length === 0) {
    list.set(member, WHOLE);
    return;
  }
  const below: Growing = known ?? new Map();
  list.set(member, below);
  add(below, rest);
}
