import type { StoredData } from './stored-data.ts';

/**
 * The document as `JSON.parse` gives it, but each large object is parsed when it is first asked for: whoever looks at a few
 * members does not pay for all of them. `undefined` where the parts cannot be found again, as below a key that is half a
 * surrogate pair.
 */
export function plainData({ text, small, large }: StoredData): unknown {
  const root: unknown = JSON.parse(small);
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  for (const { path, members } of large) {
    const last = path.at(-1);
    let parent: unknown = root;
    for (const step of path.slice(0, -1)) parent = ownMember(parent, step);
    if (!isHolder(parent) || last === undefined || ownMember(parent, last) !== null) return undefined;
    const { offsets } = members;
    defineLate(parent, last, () =>
      // Its members, as they stand there, in its braces.
      JSON.parse(`{${bytes.toString('utf8', offsets[0], offsets.at(-1))}}`),
    );
  }
  return root;
}

function isHolder(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function ownMember(value: unknown, key: string | number): unknown {
  return isHolder(value) && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

/** Defined, not assigned: `__proto__` is a key like any other. */
function defineLate(holder: object, key: string | number, make: () => unknown): void {
  const how = { enumerable: true, configurable: true };
  const get = (): unknown => {
    const value = make();
    Object.defineProperty(holder, key, { ...how, writable: true, value });
    return value;
  };
  Object.defineProperty(holder, key, { ...how, get });
}
