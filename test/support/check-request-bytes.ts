import { WireWriter } from '../../src/listener/wire-writer.ts';

/** Pieces of a CheckRequest, also such as protobufjs would not write: repeated map keys, `__proto__`, both bodies. */
export interface CheckPieces {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly (readonly [string, string])[];
  /** Appended to the HttpRequest as it is. */
  readonly extra?: (writer: WireWriter) => void;
}

/** Writes the pieces; what is not named is not sent. */
export function checkRequestWith({ method, path, headers = [], extra }: CheckPieces): Buffer {
  const writer = new WireWriter();
  extra?.(writer);
  if (path !== undefined) writer.text(4, path);
  for (const [name, value] of headers.toReversed()) {
    const end = writer.written();
    writer.text(2, value);
    writer.text(1, name);
    writer.close(3, end);
  }
  if (method !== undefined) writer.text(2, method);
  // HttpRequest in Request in AttributeContext in CheckRequest; each is all that was written.
  for (const field of [2, 4, 1]) writer.close(field, 0);
  return writer.finish();
}
