/**
 * A JSON value as it travels to the policy. `bigint` keeps integers beyond 2^53 exact, {@link RawJson} carries text
 * that was validated where it was read and is spliced in unchanged; `undefined` members are left out.
 */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | RawJson
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

/** Valid JSON text, validated by its maker. Numbers in it keep every digit. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type JsonObject = { readonly [key: string]: JsonValue | undefined };

/** Whether an unknown value is a plain JSON object (not null, not an array). */
export function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether it has no members, without a list of them. */
export function isEmptyObject(object: JsonObject): boolean {
  for (const _ in object) return false;
  return true;
}
