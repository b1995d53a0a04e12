import type { HeaderPairs } from '../../decision/header-changes.ts';
import { WireWriter } from '../../listener/wire-writer.ts';

// Field numbers of envoy.config.core.v3.HeaderValueOption and HeaderValue.
const HEADER_OPTION = { header: 1, append: 2, appendAction: 3 } as const;
const KEY = 1;
const VALUE = 2;
const APPEND = 1;
const OVERWRITE_IF_EXISTS_OR_ADD = 2;
/** `google.protobuf.BoolValue`. */
const BOOL_VALUE = 1;

/**
 * Writes `HeaderValueOption`s: the first value of a name replaces what is there, further ones are appended to it.
 * Both the old and the new way of saying so are sent, because Envoys differ in which of them they read. Cookies are
 * always appended: RFC 6265 §3 gives each its own field, and the upstream's must survive.
 */
export function writeHeaders(writer: WireWriter, field: number, headers: HeaderPairs): void {
  for (let index = headers.length - 1; index >= 0; index--) {
    const [name, value] = headers[index] ?? ['', ''];
    const end = writer.written();
    writer.bytes(name === 'set-cookie' || isRepeated(headers, index, name) ? APPENDED : REPLACED);
    const header = writer.written();
    writer.text(VALUE, value);
    writer.text(KEY, name);
    writer.close(HEADER_OPTION.header, header);
    writer.close(field, end);
  }
}

/** Whether the name stands earlier in the list; lists are short. */
function isRepeated(headers: HeaderPairs, index: number, name: string): boolean {
  for (let before = 0; before < index; before++) if (headers[before]?.[0] === name) return true;
  return false;
}

/** Begins, at its end, a header that replaces what is there; its value comes next. Answers what {@link endHeader} needs. */
export function beginHeader(writer: WireWriter): number {
  const end = writer.written();
  writer.bytes(REPLACED);
  return end;
}

/** Ends a header whose value, without tag and length, was written since it was begun. */
export function endHeader(writer: WireWriter, field: number, name: HeaderName, end: number): void {
  const header = end + REPLACED.length;
  writer.close(VALUE, header);
  writer.bytes(name);
  writer.close(HEADER_OPTION.header, header);
  writer.close(field, end);
}

/** The name of a header as {@link endHeader} takes it. */
export type HeaderName = Uint8Array & { readonly __brand: 'HeaderName' };

export function toHeaderName(name: string): HeaderName {
  // Nothing but this function makes them.
  return written((writer) => writer.text(KEY, name)) as HeaderName;
}

const REPLACED = written((writer) => {
  writer.uint32(HEADER_OPTION.appendAction, OVERWRITE_IF_EXISTS_OR_ADD);
  writer.close(HEADER_OPTION.append, writer.written());
});
const APPENDED = written((writer) => {
  const end = writer.written();
  writer.uint32(BOOL_VALUE, APPEND);
  writer.close(HEADER_OPTION.append, end);
});

/** What is written, to be put into many messages as it is. */
export function written(write: (writer: WireWriter) => void): Uint8Array {
  const writer = new WireWriter();
  write(writer);
  // A copy: it is kept, and must not keep the writer's room.
  return Uint8Array.from(writer.finish());
}
