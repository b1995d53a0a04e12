import type { MessageTable, Placed } from './wire-message.ts';

/** Bytes that are no message of the wanted type. The text names the message and the field, never the content. */
export class WireFault extends Error {
  override readonly name = 'WireFault';
}

/** A fault of one field. */
export function fault(table: MessageTable, field: Placed, what: string): WireFault {
  return new WireFault(`\`${table.name}.${field.name}\` ${what}`);
}
