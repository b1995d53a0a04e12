/**
 * Everything is kept in 256 parts, each of which is in one hash slot and so on one node: a part has a marker of its own,
 * since each node can lose its state by itself. Parts are spread evenly over the slots.
 */
export const PARTS = 256;

const SLOTS = 16_384;

/** The part of a tag, which is hexadecimal and random. */
export function partOfTag(tag: string): number {
  return Number.parseInt(tag.slice(0, 2), 16) || 0;
}

/** What stands in the braces of the keys of each part. INVARIANT: stays as it is, or every count is lost. */
export function partNames(): readonly string[] {
  const names: string[] = [];
  let left = PARTS;
  for (let number = 0; left > 0; number += 1) {
    const name = `q${number}`;
    const part = Math.floor(slotOf(name) / (SLOTS / PARTS));
    if (names[part] !== undefined) continue;
    names[part] = name;
    left -= 1;
  }
  return names;
}

/** The slot of a key without braces, or of what stands in them (https://redis.io/docs/reference/cluster-spec). */
export function slotOf(text: string): number {
  let crc = 0;
  for (let at = 0; at < text.length; at += 1) {
    crc ^= text.charCodeAt(at) << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc % SLOTS;
}
