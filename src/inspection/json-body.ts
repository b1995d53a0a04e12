import { RawJson } from '../decision/json.ts';
import { type JsonEdit, type JsonLimits, type JsonMember, type ScannedJson, scanJson } from './json-scanner.ts';
import { asBuffer, decodeJsonString } from './json-string.ts';
import { buildJsonValue } from './json-value.ts';
import { isRefusal, type Refusal } from './refusal.ts';

/** A JSON document that was validated: its own bytes as text, and its top-level members in place. */
export class JsonDocument {
  readonly kind = 'document';
  /** `undefined` when the document is no object. */
  readonly members: ReadonlyMap<string, JsonMember> | undefined;
  /** Whether an object of any depth has a key `__proto__`, which some readers assign to a prototype. */
  readonly hasProtoKey: boolean;
  readonly #bytes: Uint8Array;
  readonly #edits: readonly JsonEdit[];

  constructor(bytes: Uint8Array, { members, edits, hasProtoKey }: ScannedJson) {
    this.members = members;
    this.hasProtoKey = hasProtoKey;
    this.#bytes = bytes;
    this.#edits = edits;
  }

  /** The document as sent, every digit kept; only earlier twins of a key and lone surrogates are changed. */
  raw(): RawJson {
    const bytes = asBuffer(this.#bytes);
    if (this.#edits.length === 0) return new RawJson(bytes.toString('utf8'));
    const edits = [...this.#edits].sort((one, other) => one.start - other.start);
    const parts: string[] = [];
    let position = 0;
    for (const { start, end, replacement } of edits) {
      // What lies inside a member that was left out is gone already.
      if (start < position) continue;
      parts.push(bytes.toString('utf8', position, start), replacement);
      position = end;
    }
    return new RawJson(parts.join('') + bytes.toString('utf8', position));
  }

  /** The text of a member that is a string. */
  textOf(member: JsonMember): string {
    return decodeJsonString(this.#bytes, member.start, member.end, true);
  }

  /** The document as a value of plain objects, whose members are all own. */
  value(): unknown {
    return buildJsonValue(this.#bytes);
  }

  /** A member as a document of its own. */
  nested(member: JsonMember): JsonDocument | Refusal {
    return parseJsonBody(this.#bytes.subarray(member.start, member.end), true);
  }

  /** A member's JSON text, unchanged. */
  sourceOf(member: JsonMember): string {
    return asBuffer(this.#bytes).toString('latin1', member.start, member.end);
  }
}

/** Scans bytes into a document; refused when they are not exactly one within the limits. */
export function parseJsonBody(bytes: Uint8Array, duplicateKeys: boolean): JsonDocument | Refusal {
  const scanned = scanJson(bytes, { ...LIMITS, duplicateKeys });
  return isRefusal(scanned) ? scanned : new JsonDocument(bytes, scanned);
}

const LIMITS: Omit<JsonLimits, 'duplicateKeys'> = { maxBytes: 4 * 1024 * 1024, maxDepth: 64 };
